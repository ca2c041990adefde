//! Google Takeout exports of a made account, to try plakbox on by hand.
//! `takeout DIRECTORY photos=300 part=100` writes one export, in parts of this number of MiB.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use plakbox_tests::takeout::{Cut, Export, Language, Library, ZipStyle, delivery};

/// What can be told, and what it is unless told. Sizes of photos are in bytes, of parts in MiB;
/// the languages are in the order of [`Language::ALL`]; flags are 0 or 1.
const ARGUMENTS: [(&str, u64); 8] = [
    ("photos", 300),
    ("size", 100_000),
    ("part", 100),
    ("language", 0),
    ("seed", 1),
    ("deflated", 0),
    ("descriptors", 0),
    ("zip64", 0),
];

fn main() {
    let mut arguments = BTreeMap::from(ARGUMENTS);
    let mut given = env::args().skip(1);
    let directory = given.next();
    for argument in given {
        let told = argument
            .split_once('=')
            .and_then(|(name, number)| Some((arguments.get_mut(name)?, number.parse().ok()?)));
        let Some((argument, number)) = told else { usage() };
        *argument = number;
    }
    let Some(directory) = directory else { usage() };
    let number = |name| usize::try_from(arguments[name]).unwrap();
    let library = Library::filled(arguments["photos"], number("size"));
    let export = Export {
        language: Language::ALL[number("language") % Language::ALL.len()],
        cut: Cut::Bytes(arguments["part"] << 20),
        seed: arguments["seed"],
        ..Export::default()
    };
    let style = ZipStyle {
        deflated: arguments["deflated"] > 0,
        descriptors: arguments["descriptors"] > 0,
        zip64: arguments["zip64"] > 0,
        ..ZipStyle::default()
    };
    for archive in delivery::zips(Path::new(&directory), &export, &library, style) {
        println!("{} {}", archive.size(), archive.path.display());
    }
}

fn usage() -> ! {
    eprintln!("takeout DIRECTORY [NAME=NUMBER]...");
    ARGUMENTS.iter().for_each(|(name, number)| eprintln!("  {name}={number}"));
    std::process::exit(2)
}
