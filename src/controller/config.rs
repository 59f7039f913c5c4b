//! Where the controller's name, addresses and ports come from: the environment, else defaults.
//!
//! Both listeners stay on the loopback address unless told otherwise, since whoever reaches them
//! commands the cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::types::{Form, Role};
use crate::names::{NameError, NodeName};

/// Agents and the native protocol find the controller here.
pub const PORT: u16 = 2150;

/// Clients find the controller's WebSocket here.
pub const WEBSOCKET_PORT: u16 = 2149;

/// A lost instance is dialled again after this long.
pub const CONNECT_RETRY: Duration = Duration::from_secs(1);

/// A request that is not answered after this long has failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const ENV_NAME: &str = "ZEEK_CONTROLLER_NAME";
const ENV_ADDRESS: &str = "ZEEK_CONTROLLER_ADDR";
const ENV_PORT: &str = "ZEEK_CONTROLLER_PORT";
const ENV_WEBSOCKET_ADDRESS: &str = "ZEEK_CONTROLLER_WEBSOCKET_ADDR";
const ENV_WEBSOCKET_PORT: &str = "ZEEK_CONTROLLER_WEBSOCKET_PORT";
const ENV_LISTEN_ADDRESS: &str = "ZEEK_DEFAULT_LISTEN_ADDRESS";

/// What the controller goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name as a node.
    pub name: NodeName,
    /// Its working directory below the run directory.
    pub directory: PathBuf,
    /// Its standard output, in that directory.
    pub stdout_file: PathBuf,
    /// Its standard error, in that directory.
    pub stderr_file: PathBuf,
    /// What it is to the management.
    pub role: Role,
    /// Where agents and the native protocol find it.
    pub address: IpAddr,
    /// With this port; 0: it does not listen there.
    pub port: u16,
    /// Where clients find its WebSocket.
    pub websocket_address: IpAddr,
    /// With this port; 0: it does not listen there.
    pub websocket_port: u16,
    /// The topic it listens to in the old form; [`Form::controller_topic`] knows that of either.
    pub topic: String,
    /// A lost instance is dialled again after this long.
    pub connect_retry: Duration,
    /// A request that is not answered after this long has failed.
    pub request_timeout: Duration,
}

/// An address with its port, as the peering interface describes it: the seeds' `NetworkInfo`. The
/// controller listens nowhere in this build, so nobody is told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub bound_port: u16,
}

/// A peer with its address, as the peering interface describes it: the seeds' `EndpointInfo`, told
/// to nobody yet as [`NetworkInfo`] is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub network: NetworkInfo,
}

/// A variable holds what cannot stand. Configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The controller is a node, and nodes have names.
    #[error("{variable} is \"{value}\", which cannot name a node")]
    Name {
        /// Where it was read.
        variable: &'static str,
        /// What was read.
        value: String,
        /// Which rule it breaks.
        #[source]
        source: NameError,
    },
    /// No address.
    #[error("{variable} is \"{value}\", which is no address; give it an IPv4 or IPv6 address")]
    Address {
        /// Where it was read.
        variable: &'static str,
        /// What was read.
        value: String,
    },
    /// No port.
    #[error("{variable} is \"{value}\", which is no port; give it as 2150/tcp or 2150")]
    Port {
        /// Where it was read.
        variable: &'static str,
        /// What was read.
        value: String,
    },
    /// Two listeners in one place.
    #[error(
        "{ENV_PORT} and {ENV_WEBSOCKET_PORT} both come to {address}; agents and clients need a port each"
    )]
    SamePlace {
        /// That place.
        address: SocketAddr,
    },
}

/// Looks up variables; one that is set to nothing counts as not set.
struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, variable: &str) -> Option<String> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    fn address(&self, variable: &'static str) -> Result<Option<IpAddr>, ConfigError> {
        let Some(value) = self.get(variable) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(ConfigError::Address { variable, value }),
        }
    }

    fn port(&self, variable: &'static str, default: u16) -> Result<u16, ConfigError> {
        let Some(value) = self.get(variable) else {
            return Ok(default);
        };
        let digits = value.strip_suffix("/tcp").unwrap_or(&value);
        // `parse` alone would take "+2150".
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse() {
            Ok(port) if plain => Ok(port),
            _ => Err(ConfigError::Port { variable, value }),
        }
    }
}

impl Config {
    /// Reads it from what `lookup` knows; `host` is the host's name, for the default name.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and its value.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, host: &str) -> Result<Self, ConfigError> {
        let variables = Variables(lookup);
        let (variable, text) = match variables.get(ENV_NAME) {
            Some(text) => (ENV_NAME, text),
            None => ("the default name", format!("controller-{host}")),
        };
        let name = NodeName::parse(&text).map_err(|source| ConfigError::Name {
            variable,
            value: text,
            source,
        })?;
        let default_address = variables
            .address(ENV_LISTEN_ADDRESS)?
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = variables.port(ENV_PORT, PORT)?;
        let websocket_port = variables.port(ENV_WEBSOCKET_PORT, WEBSOCKET_PORT)?;
        let config = Self {
            directory: PathBuf::from(name.as_str()),
            stdout_file: PathBuf::from("stdout.log"),
            stderr_file: PathBuf::from("stderr.log"),
            name,
            role: Role::Controller,
            address: variables.address(ENV_ADDRESS)?.unwrap_or(default_address),
            port,
            websocket_address: variables
                .address(ENV_WEBSOCKET_ADDRESS)?
                .unwrap_or(default_address),
            websocket_port,
            topic: Form::Old.controller_topic().to_owned(),
            connect_retry: CONNECT_RETRY,
            request_timeout: REQUEST_TIMEOUT,
        };
        match (config.listen(), config.listen_websocket()) {
            (Some(address), Some(other)) if address == other => {
                Err(ConfigError::SamePlace { address })
            }
            _ => Ok(config),
        }
    }

    /// Where agents find it.
    #[must_use]
    pub fn network_info(&self) -> NetworkInfo {
        NetworkInfo {
            address: self.address,
            bound_port: self.port,
        }
    }

    /// Who they find there.
    #[must_use]
    pub fn endpoint_info(&self) -> EndpointInfo {
        EndpointInfo {
            id: self.name.to_string(),
            network: self.network_info(),
        }
    }

    /// The native listener's address, if there is to be one.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        (self.port != 0).then(|| SocketAddr::new(self.address, self.port))
    }

    /// The WebSocket listener's address, if there is to be one.
    #[must_use]
    pub fn listen_websocket(&self) -> Option<SocketAddr> {
        (self.websocket_port != 0)
            .then(|| SocketAddr::new(self.websocket_address, self.websocket_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let lookup = |wanted: &str| {
            variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::read(lookup, "testbox")
    }

    #[test]
    fn without_variables_the_defaults_stand_and_stay_on_loopback() {
        let config = read(&[]).unwrap();
        assert_eq!(config.name.as_str(), "controller-testbox");
        assert_eq!(config.directory, PathBuf::from("controller-testbox"));
        assert_eq!(config.role, Role::Controller);
        assert_eq!(config.topic, "zeek/cluster-control/controller");
        assert_eq!(config.connect_retry, Duration::from_secs(1));
        assert_eq!(config.request_timeout, Duration::from_secs(10));
        assert_eq!(config.listen(), Some("127.0.0.1:2150".parse().unwrap()));
        assert_eq!(
            config.listen_websocket(),
            Some("127.0.0.1:2149".parse().unwrap())
        );
    }

    #[test]
    fn every_variable_overrides_its_default() {
        let config = read(&[
            ("ZEEK_CONTROLLER_NAME", "chief"),
            ("ZEEK_CONTROLLER_ADDR", "192.0.2.1"),
            ("ZEEK_CONTROLLER_PORT", "3150/tcp"),
            ("ZEEK_CONTROLLER_WEBSOCKET_ADDR", "::1"),
            ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "3149"),
        ])
        .unwrap();
        assert_eq!(config.listen(), Some("192.0.2.1:3150".parse().unwrap()));
        assert_eq!(
            config.listen_websocket(),
            Some("[::1]:3149".parse().unwrap())
        );
        let network = NetworkInfo {
            address: "192.0.2.1".parse().unwrap(),
            bound_port: 3150,
        };
        assert_eq!(config.network_info(), network);
        assert_eq!(
            config.endpoint_info(),
            EndpointInfo {
                id: "chief".into(),
                network
            }
        );
    }

    #[test]
    fn the_default_listen_address_serves_where_no_own_one_is_set() {
        let config = read(&[
            ("ZEEK_DEFAULT_LISTEN_ADDRESS", "0.0.0.0"),
            ("ZEEK_CONTROLLER_ADDR", ""),
            ("ZEEK_CONTROLLER_WEBSOCKET_ADDR", "127.0.0.2"),
        ])
        .unwrap();
        assert_eq!(config.listen(), Some("0.0.0.0:2150".parse().unwrap()));
        assert_eq!(
            config.listen_websocket(),
            Some("127.0.0.2:2149".parse().unwrap())
        );
    }

    #[test]
    fn port_zero_means_no_listener_even_for_both() {
        let config = read(&[
            ("ZEEK_CONTROLLER_PORT", "0"),
            ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "0/tcp"),
        ])
        .unwrap();
        assert_eq!(config.listen(), None);
        assert_eq!(config.listen_websocket(), None);
    }

    #[test]
    fn what_cannot_stand_is_refused_with_variable_and_value() {
        for (variable, value) in [
            ("ZEEK_CONTROLLER_NAME", "a/b"),
            ("ZEEK_CONTROLLER_ADDR", "localhost"),
            ("ZEEK_DEFAULT_LISTEN_ADDRESS", "127.0.0"),
            ("ZEEK_CONTROLLER_PORT", "2150/udp"),
            ("ZEEK_CONTROLLER_PORT", "65536"),
            ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "+2149"),
            ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "/tcp"),
        ] {
            let text = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(text.contains(variable), "{text}");
            assert!(text.contains(&format!("\"{value}\"")), "{text}");
        }
        assert_eq!(
            read(&[("ZEEK_CONTROLLER_PORT", "2149/tcp")]),
            Err(ConfigError::SamePlace {
                address: "127.0.0.1:2149".parse().unwrap()
            })
        );
    }

    #[test]
    fn a_host_name_that_makes_no_node_name_is_refused() {
        let error = Config::read(|_| None, "under a tree").unwrap_err();
        assert!(error.to_string().contains("controller-under a tree"));
    }
}
