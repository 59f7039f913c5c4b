//! Indexes made by hand, with one thing wrong in each; and arbitrary bytes.

use super::*;
use crate::data::Timestamp;
use proptest::collection::vec;
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

fn add(verifier: &mut Verifier, path: &str, index: &[u8], file: &[u8]) -> FileReport {
    let index = Some(index);
    let until = None;
    let input = Input {
        path,
        index,
        file,
        until,
    };
    verifier.add(input).unwrap()
}

fn faults(index: &[u8], file: &[u8]) -> Vec<Fault> {
    add(&mut Verifier::default(), "a", index, file).faults
}

#[test]
fn whole_files_have_no_faults_and_gaps_are_those_between_all_paths() {
    let mut verifier = Verifier::default();
    for (path, numbers) in [("a", &[1, 2, 7][..]), ("b", &[3, 5]), ("a", &[9])] {
        let (index, file) = pair(path, numbers);
        let report = add(&mut verifier, path, &index, &file);
        assert_eq!(report.faults, []);
        assert_eq!(report.records, u64::try_from(numbers.len()).unwrap());
    }
    let expected = SourceReport {
        source: SOURCE,
        first: 1,
        last: 9,
        records: 6,
        gaps: vec![(4, 4), (6, 6), (8, 8)],
        gap_count: 3,
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
    assert_eq!(add(&mut verifier, "a", &index, &file).faults, []);
    let repeated = Fault::Repeated {
        source: SOURCE,
        number: 3,
    };
    assert_eq!(add(&mut verifier, "a", &index, &file).faults, [repeated]);
}

#[test]
fn a_file_that_grows_has_to_be_told_of_as_far_as_it_was_written_before_its_index_was_opened() {
    let (index, file) = pair("a", &[0, 1]);
    let grown = [&file, &b"line 2\n"[..]].concat();
    let long = u64::try_from(file.len()).unwrap();
    let faults = |until| {
        let input = Input {
            path: "a",
            index: Some(index.as_slice()),
            file: grown.as_slice(),
            until: Some(until),
        };
        Verifier::default().add(input).unwrap().faults
    };
    assert_eq!(faults(long), []);
    assert_eq!(faults(long + 1), [Fault::NotIndexed { at: long }]);
}

#[test]
fn a_file_without_an_index_proves_nothing_unless_it_is_empty() {
    for (file, faults) in [(&b""[..], vec![]), (b"x\n", vec![Fault::NoIndex])] {
        let input = Input {
            path: "a",
            index: None::<&[u8]>,
            file,
            until: None,
        };
        assert_eq!(Verifier::default().add(input).unwrap().faults, faults);
    }
    assert_eq!(FileReport::missing().faults, [Fault::Missing]);
}

#[test]
fn a_file_that_is_cut_together_with_its_index_is_shorter_than_its_checkpoint() {
    let (index, file) = pair("a", &[0, 1]);
    let mut whole = add(&mut Verifier::default(), "a", &index, &file);
    let (opened, seed) = whole.header.unwrap();
    let checkpoint = OpenFile {
        opened,
        length: whole.bytes,
        index_length: 0,
        declared: 1,
        seed,
        identity: super::super::Identity(0),
        index_identity: super::super::Identity(0),
    };
    assert!(whole.is_of(&checkpoint));
    assert_eq!(whole.faults, []);
    let (index, file) = (&index[..index.len() - 32], &file[..file.len() - 7]);
    let mut cut = add(&mut Verifier::default(), "a", index, file);
    assert_eq!(cut.faults, []);
    assert!(cut.is_of(&checkpoint));
    let (expected, found) = (checkpoint.length, cut.bytes);
    assert_eq!(cut.faults, [Fault::Shorter { expected, found }]);
    let another = OpenFile {
        seed: seed ^ 1,
        ..checkpoint
    };
    assert!(!cut.is_of(&another));
}

/// Shows: what stood in a file that is not here is told, whether it was the oldest or one in between.
#[test]
fn a_file_that_is_not_here_is_told_of_by_those_behind_it() {
    let mut verifier = Verifier::default();
    let report = |verifier: &Verifier| verifier.paths().next().unwrap();
    let (index, file) = pair("a", &[5, 6]);
    add(&mut verifier, "a", &index, &file);
    verifier.stood("a", SOURCE, 7);
    let here = report(&verifier);
    assert_eq!((here.bounds, here.records), (Some((5, 6)), 2));
    assert_eq!((here.earlier, here.absent), (None, None));
    verifier.stood("a", SOURCE, 4);
    verifier.stood("a", SOURCE, 9);
    let gone = report(&verifier);
    assert_eq!((gone.earlier, gone.absent), (Some(4), Some(8)));
    verifier.stood("b", SOURCE, 3);
    let nothing = verifier.paths().nth(1).unwrap();
    assert_eq!((nothing.bounds, nothing.earlier), (None, Some(3)));
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
}
