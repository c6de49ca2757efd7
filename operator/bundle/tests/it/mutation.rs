//! Whatever happens to the bytes of an archive: the same tree comes out, or an error and nothing.

use std::fs;

use homeport_bundle::{Limits, unpack};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Scene, files};

#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), 1u8..).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, b)| Mutation::Insert(at, b)),
        1 => (any::<Index>(), 1usize..600).prop_map(|(at, count)| Mutation::Remove(at, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match mutation {
        Mutation::Flip(at, mask) => bytes[at.index(length)] ^= mask,
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Insert(at, inserted) => {
            let at = at.index(length);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Mutation::Remove(at, count) => {
            let at = at.index(length);
            bytes.drain(at..(at + count).min(length));
        }
        Mutation::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend_from_slice(&part);
        }
    }
}

fn same_or_nothing(scene: &Scene, archive: &[u8]) -> Result<(), TestCaseError> {
    let mutant = scene.dir.path().join("mutant.hprt");
    fs::write(&mutant, archive).unwrap();
    let dest = scene.dir.path().join("out");
    match unpack(&mutant, &dest, &Limits::default(), None) {
        Ok(_) => {
            prop_assert_eq!(files(&dest), files(&scene.dest()));
            fs::remove_dir_all(&dest).unwrap();
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    prop_assert_eq!(scene.names(), ["app.hprt", "mutant.hprt", "tree", "unpacked"]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn of_the_compressed_bytes(mutations in prop::collection::vec(mutation(), 1..4)) {
        let scene = Scene::new();
        scene.pack().unwrap();
        unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
        let mut bytes = fs::read(scene.archive()).unwrap();
        mutations.iter().for_each(|mutation| apply(&mut bytes, mutation));
        same_or_nothing(&scene, &bytes)?;
    }

    #[test]
    fn of_the_tar_inside(mutations in prop::collection::vec(mutation(), 1..4)) {
        use std::io::Read;
        let scene = Scene::new();
        scene.pack().unwrap();
        unpack(&scene.archive(), &scene.dest(), &Limits::default(), None).unwrap();
        let mut tar = Vec::new();
        flate2::read::MultiGzDecoder::new(fs::File::open(scene.archive()).unwrap()).read_to_end(&mut tar).unwrap();
        mutations.iter().for_each(|mutation| apply(&mut tar, mutation));
        same_or_nothing(&scene, &crate::support::gzip(&tar))?;
    }
}
