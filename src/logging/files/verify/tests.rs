//! Indexes made by hand, with one thing wrong in each; and arbitrary bytes.

use super::*;
use crate::data::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

const SOURCE: SourceId = SourceId(5);

/// A file of lines with these numbers, and its index.
fn pair(path: &str, numbers: &[u64]) -> (Vec<u8>, Vec<u8>) {
    let (mut index, mut file) = (Vec::new(), b"#head\n".to_vec());
    let seed = Header::new(path, Timestamp::from_nanos(1)).encode(&mut index);
    let text = Entry::Text(Extent::behind(0, &file).unwrap());
    let source = Entry::Source {
        source: 0,
        id: SOURCE,
        next: 0,
    };
    text.encode(seed, 32, &mut index);
    source.encode(seed, 64, &mut index);
    for number in numbers {
        let line = format!("line {number}\n");
        let from = u64::try_from(file.len()).unwrap();
        let entry = Entry::Record {
            source: 0,
            number: *number,
            extent: Extent::behind(from, line.as_bytes()).unwrap(),
        };
        let at = u64::try_from(index.len()).unwrap();
        entry.encode(seed, at, &mut index);
        file.extend_from_slice(line.as_bytes());
    }
    (index, file)
}

fn faults(index: &[u8], file: &[u8]) -> Vec<Fault> {
    Verifier::default().add("a", index, file).faults
}

#[test]
fn whole_files_have_no_faults_and_gaps_are_those_between_all_paths() {
    let mut verifier = Verifier::default();
    for (path, numbers) in [("a", &[1, 2, 7][..]), ("b", &[3, 5]), ("a", &[9])] {
        let (index, file) = pair(path, numbers);
        let report = verifier.add(path, &index, &file);
        assert_eq!(report.faults, []);
        assert_eq!(report.records, u64::try_from(numbers.len()).unwrap());
    }
    let expected = SourceReport {
        source: SOURCE,
        first: 1,
        last: 9,
        records: 6,
        gaps: vec![(4, 4), (6, 6), (8, 8)],
        missing: 3,
    };
    assert_eq!(verifier.sources(), [expected]);
}

#[test]
fn each_fault_is_named() {
    let (index, file) = pair("a", &[0, 1]);
    let long = u64::try_from(file.len()).unwrap();
    assert_eq!(faults(&[], &[]), []);
    assert_eq!(faults(&[], &file), [Fault::NoHeader]);
    assert_eq!(faults(&index[..31], &file), [Fault::NoHeader]);
    assert_eq!(faults(&index[1..], &file), [Fault::NoHeader]);
    let (other, _) = pair("b", &[0, 1]);
    assert_eq!(faults(&other, &file), [Fault::OtherPath]);
    assert_eq!(
        faults(&index, &file[..file.len() - 1]),
        [Fault::Torn { at: 13 }]
    );
    assert_eq!(
        faults(&index, &[&file, &b"more"[..]].concat()),
        [Fault::NotIndexed { at: long }]
    );
    let mut altered = file.clone();
    altered[7] ^= 1;
    assert_eq!(faults(&index, &altered), [Fault::Altered { at: 6 }]);
    let mut broken = index;
    broken[100] ^= 1;
    assert_eq!(faults(&broken, &file), [Fault::IndexUnreadable { at: 96 }]);
    let (twice, file) = pair("a", &[4, 5, 4]);
    let (source, number) = (SOURCE, 4);
    assert_eq!(faults(&twice, &file), [Fault::Repeated { source, number }]);
    let (back, file) = pair("a", &[5, 4]);
    assert_eq!(faults(&back, &file), [Fault::OutOfOrder { source, number }]);
}

#[test]
fn a_record_that_stands_in_two_files_is_repeated() {
    let mut verifier = Verifier::default();
    let (index, file) = pair("a", &[3]);
    assert_eq!(verifier.add("a", &index, &file).faults, []);
    let repeated = Fault::Repeated {
        source: SOURCE,
        number: 3,
    };
    assert_eq!(verifier.add("a", &index, &file).faults, [repeated]);
}

proptest! {
    #[test]
    fn every_changed_bit_and_every_cut_is_found(bit in 0_usize..1000, cut in 0_usize..1000) {
        let (index, file) = pair("a", &[0, 1, 2]);
        let mut bytes = index.clone();
        bytes[bit / 8 % index.len()] ^= 1 << (bit % 8);
        prop_assert!(!faults(&bytes, &file).is_empty());
        let mut bytes = file.clone();
        bytes[bit / 8 % file.len()] ^= 1 << (bit % 8);
        prop_assert!(!faults(&index, &bytes).is_empty());
        prop_assert!(!faults(&index[..cut % index.len()], &file).is_empty());
        prop_assert!(!faults(&index, &file[..cut % file.len()]).is_empty());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        index in vec(any::<u8>(), 0..200),
        file in vec(any::<u8>(), 0..50),
    ) {
        prop_assume!(!index.is_empty() || !file.is_empty());
        prop_assert!(!faults(&index, &file).is_empty());
    }

    #[test]
    fn numbers_are_counted_as_a_set_counts_them(
        numbers in vec(0_u64..40, 1..60), others in btree_set(0_u64..40, 0..40),
    ) {
        let mut set = std::collections::BTreeSet::new();
        let (mut one, mut other) = (Numbers::default(), Numbers::default());
        for number in numbers {
            prop_assert_eq!(one.add(number), set.insert(number));
        }
        for number in &others {
            other.add(*number);
        }
        one.join(&other);
        set.extend(others);
        let report = one.report(SOURCE).unwrap();
        prop_assert_eq!(report.records, u64::try_from(set.len()).unwrap());
        prop_assert_eq!(report.first, *set.first().unwrap());
        prop_assert_eq!(report.last, *set.last().unwrap());
        for (first, last) in report.gaps {
            prop_assert!((first..=last).all(|number| !set.contains(&number)));
        }
    }
}
