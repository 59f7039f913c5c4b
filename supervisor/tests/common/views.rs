//! What nodes saw of one another, read from what they said.

use std::collections::BTreeMap;

use super::{Cluster, PATIENCE, wait_or_tell};

/// One line of a node's own life: its event, and what it says beside it.
#[derive(Clone, Debug)]
pub struct Said {
    pub event: String,
    pub name: String,
    pub id: String,
}

/// What one process of a node said, from its first line on.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub pid: i32,
    pub said: Vec<Said>,
}

impl Life {
    /// The id under which it announced itself.
    pub fn id(&self) -> Option<&str> {
        let announced = self.of("announced").next()?;
        Some(&announced.id)
    }

    pub fn of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Said> {
        self.said.iter().filter(move |said| said.event == event)
    }

    pub fn count(&self, event: &str) -> usize {
        self.of(event).count()
    }

    /// Who is up, as which process, after all it saw.
    ///
    /// # Panics
    /// When arrivals and losses of a name do not take turns, or name different processes.
    pub fn view(&self) -> BTreeMap<String, String> {
        let mut up: BTreeMap<String, String> = BTreeMap::new();
        for said in &self.said {
            match said.event.as_str() {
                "node_up" => {
                    let before = up.insert(said.name.clone(), said.id.clone());
                    assert_eq!(before, None, "two arrivals in a row: {said:?}");
                }
                "node_down" => {
                    let was = up.remove(&said.name);
                    assert_eq!(
                        was.as_ref(),
                        Some(&said.id),
                        "not the one that came: {said:?}"
                    );
                }
                _ => {}
            }
        }
        up
    }

    /// What it saw of one name, in order: `+` and the id for an arrival, `-` and the id for a loss.
    pub fn history(&self, name: &str) -> Vec<String> {
        let of_name = self.said.iter().filter(|said| said.name == name);
        of_name
            .filter_map(|said| match said.event.as_str() {
                "node_up" => Some(format!("+{}", said.id)),
                "node_down" => Some(format!("-{}", said.id)),
                _ => None,
            })
            .collect()
    }
}

impl Cluster {
    /// All lives of a built-in node, the running one last.
    pub fn lives(&self, node: &str) -> Vec<Life> {
        let mut lives: Vec<Life> = Vec::new();
        for line in self
            .read(&format!("{node}/stdout.log"))
            .split_inclusive('\n')
        {
            // The last one may be half written.
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            let word = |key: &str| {
                let mut words = line.split(' ').filter_map(|word| word.split_once('='));
                let found = words.find(|(name, _)| *name == key);
                found.map_or_else(String::new, |(_, value)| value.to_owned())
            };
            let said = Said {
                event: word("event"),
                name: word("name"),
                id: word("id"),
            };
            if said.event == "up" {
                let pid = word("pid").parse().unwrap();
                lives.push(Life {
                    pid,
                    said: Vec::new(),
                });
            }
            lives.last_mut().expect("up comes first").said.push(said);
        }
        lives
    }

    /// The running life of a node.
    pub fn life(&self, node: &str) -> Life {
        self.lives(node).pop().unwrap_or_default()
    }

    /// Waits until each of these nodes sees all others as the processes that they are.
    pub fn wait_views(&self, nodes: &[&str]) {
        let lives = || nodes.map_lives(self);
        wait_or_tell(
            "every node sees all others",
            PATIENCE,
            || sees_all(&lives()).then_some(()),
            || format!("{:#?}\n{}", lives(), self.console()),
        );
    }

    /// Waits until each of these nodes said this.
    pub fn wait_said(&self, nodes: &[&str], event: &str) {
        let lives = || nodes.map_lives(self);
        wait_or_tell(
            &format!("every node says {event}"),
            PATIENCE,
            || {
                lives()
                    .values()
                    .all(|life| life.count(event) > 0)
                    .then_some(())
            },
            || format!("{:#?}\n{}", lives(), self.console()),
        );
    }
}

trait MapLives {
    fn map_lives(&self, cluster: &Cluster) -> BTreeMap<String, Life>;
}

impl MapLives for [&str] {
    fn map_lives(&self, cluster: &Cluster) -> BTreeMap<String, Life> {
        let lives = self
            .iter()
            .map(|node| ((*node).to_owned(), cluster.life(node)));
        lives.collect()
    }
}

fn sees_all(lives: &BTreeMap<String, Life>) -> bool {
    let ids: BTreeMap<String, String> = lives
        .iter()
        .filter_map(|(name, life)| Some((name.clone(), life.id()?.to_owned())))
        .collect();
    ids.len() == lives.len()
        && lives.iter().all(|(name, life)| {
            let mut others = ids.clone();
            others.remove(name);
            life.view() == others
        })
}
