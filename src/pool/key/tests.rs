//! One key of each type against the bytes that Zeek hashes, and keys that are refused.

use super::*;
use crate::data::hex;

fn bytes(key: &HashKey<'_>) -> String {
    hex(&key.bytes().unwrap())
}

fn inner(y: Option<&'static str>) -> HashKey<'static> {
    HashKey::Record(vec![
        Field::Set("x", HashKey::Count(1)),
        y.map_or(Field::Unset("y", KeyType::String), |text| {
            Field::Set("y", text.into())
        }),
    ])
}

#[test]
fn plain_keys_are_hashed_as_zeek_hashes_them() {
    let addr = |text: &str| HashKey::Addr(text.parse().unwrap());
    for (key, expected) in [
        (HashKey::from("alpha"), "616c706861"),
        (HashKey::Bool(true), "010000000100000000000000"),
        (HashKey::Int(-1), "02000000ffffffffffffffff"),
        (HashKey::Count(42), "030000002a00000000000000"),
        (HashKey::Double(1.5), "04000000000000000000f83f"),
        (HashKey::Time(0.0), "050000000000000000000000"),
        (HashKey::Interval(0.0), "0600000030207365637300"),
        (
            HashKey::Interval(1.5),
            "06000000000000000000f03f736563000000000000407f406d736563007300",
        ),
        (
            HashKey::Pattern("^?(foo|bar)$?"),
            "080000002f005e3f28666f6f7c62617229243f002f00",
        ),
        (
            HashKey::Enum {
                type_name: "Cluster::NodeType",
                value: "Cluster::WORKER",
            },
            "09000000436c75737465723a3a4e6f646554797065436c75737465723a3a574f524b455200",
        ),
        (
            HashKey::Port {
                number: 443,
                protocol: Protocol::Tcp,
            },
            "0a000000bb0100002f00746370",
        ),
        (addr("10.0.0.1"), "0b00000031302e302e302e3100"),
        (addr("::ffff:1.2.3.4"), "0b000000312e322e332e3400"),
        (
            HashKey::Subnet {
                addr: "10.0.0.0".parse().unwrap(),
                prefix_bits: 8,
            },
            "0c00000031302e302e302e302f3800",
        ),
    ] {
        assert_eq!(bytes(&key), expected, "{key:?}");
    }
}

#[test]
fn containers_are_hashed_with_the_types_of_what_they_hold() {
    let inner_type = "0f00000000000000000000000200000000000000780003000000790007000000";
    assert!(bytes(&inner(None)).starts_with(inner_type));
    assert!(bytes(&inner(None)).ends_with("79003c756e696e697469616c697a65643e00"));
    assert!(bytes(&inner(Some("hi"))).ends_with("790007000000020000006869"));
    let counts = HashKey::Vector {
        element: KeyType::Count,
        elements: vec![HashKey::Count(1), HashKey::Count(2)],
    };
    assert_eq!(
        bytes(&counts),
        "13000000030000005b000300000001000000000000002c200003000000020000000000000\
         05d00"
    );
    let table = HashKey::Table {
        index: vec![KeyType::String],
        value: Box::new(KeyType::Count),
        elements: vec![(vec!["a".into()], HashKey::Count(1))],
    };
    assert_eq!(
        bytes(&table),
        "0e00000007000000030000000100000001000000100000000000000001000000000000000\
         70000000100000000000000070000000100000061030000000100000000000000"
    );
    let nobody = HashKey::Set {
        index: vec![KeyType::String],
        elements: vec![],
    };
    assert_eq!(bytes(&nobody), "0e0000000700000000000000");
}

#[test]
fn digests_are_those_that_zeek_prints() {
    assert_eq!(HashKey::from("alpha").digest(), Ok(0x5d8b_6dab));
    assert_eq!(HashKey::from("").digest(), Ok(2_166_136_261));
    assert_eq!(HashKey::Count(42).digest(), Ok(0x39e5_298c));
    assert_eq!(HashKey::Interval(1.5).digest(), Ok(0xe50b_f091));
    assert_eq!(inner(None).digest(), Ok(146_933_449));
}

#[test]
fn a_key_on_whose_digest_nodes_would_not_agree_is_refused() {
    let two = HashKey::Set {
        index: vec![KeyType::Count],
        elements: vec![vec![HashKey::Count(1)], vec![HashKey::Count(2)]],
    };
    assert_eq!(two.digest(), Err(KeyError::Unordered { elements: 2 }));
    let around = HashKey::Record(vec![Field::Set("inner", two)]);
    assert_eq!(around.digest(), Err(KeyError::Unordered { elements: 2 }));
}

#[test]
fn a_key_that_breaks_the_types_of_its_container_is_refused() {
    let mixed = HashKey::Vector {
        element: KeyType::Count,
        elements: vec![HashKey::Int(1)],
    };
    assert_eq!(mixed.digest(), Err(KeyError::Mixed));
    let short = HashKey::Set {
        index: vec![KeyType::Count, KeyType::Count],
        elements: vec![vec![HashKey::Count(1)]],
    };
    assert_eq!(short.digest(), Err(KeyError::Mixed));
}
