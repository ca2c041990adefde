//! A directory of Google Takeout exports is backed up as the library that was exported: paths,
//! bytes and times are those of the model, whatever the export looks like.

use plakbox_tests::takeout::delivery;
use plakbox_tests::takeout::library::Seconds;
use plakbox_tests::takeout::{
    Content, Copy, Cut, Description, Export, Language, Library, NumberPlace, Photo, Place,
    SidecarForm, Source, Union, ZipStyle,
};
use plakbox_tests::tree;
use std::fs;

const NEW_YEAR_2024: Seconds = 1_704_067_200;

fn photo(number: u64) -> Content {
    Content::Photo { number, size: 2000 + (number % 17) as usize }
}

#[test]
fn an_export_is_the_library() {
    let (source, library) = (Source::new(), Library::filled(300, 3000));
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn sidecars_may_be_in_other_parts_than_their_photos() {
    let (one, five) = (Source::new(), Source::new());
    let library = Library::filled(200, 3000);
    one.deliver(&Export::default(), &library);
    five.deliver(&Export { cut: Cut::Apart(5), ..Export::default() }, &library);
    for source in [&one, &five] {
        source.backup().good().says("without errors");
        source.assert_whole(&library);
    }
    // Sidecars, too.
    tree::assert_same(
        &one.place.restore_here("all"),
        &five.place.restore_here("all"),
        tree::Keep::Everything,
    );
}

#[test]
fn the_language_of_an_account_changes_only_what_has_its_name() {
    let library = Library::filled(60, 1000);
    for language in Language::ALL {
        for (old_years, form, number_place) in [
            (true, SidecarForm::Old, NumberPlace::Moved),
            (false, SidecarForm::New, NumberPlace::Moved),
            (false, SidecarForm::New, NumberPlace::Left),
        ] {
            let source = Source::new();
            let export = Export { language, old_years, form, number_place, ..Export::default() };
            source.deliver(&export, &library);
            source.backup().good().says("without errors");
            source.assert_holds(&library, Union::All, language);
        }
    }
}

#[test]
fn albums_have_their_photos_however_the_export_has_them() {
    let mut library = Library::default();
    let all: Vec<usize> = (0..6)
        .map(|number| {
            let title = format!("IMG_{number}.jpg");
            let taken = NEW_YEAR_2024 + number as Seconds * 1000;
            library.add(Photo::new(&title, taken, photo(number)))
        })
        .collect();
    let alone = library.add(Photo {
        place: Place::Albums,
        ..Photo::new("alone.jpg", NEW_YEAR_2024 + 7, photo(7))
    });
    library.album("Copies", &all[..4]);
    library.album("Sidecars", &all[2..]).members.iter_mut().for_each(|(_, copy)| {
        *copy = Copy::SidecarOnly;
    });
    library.album("Mixed", &[all[0], all[5], alone]).members[1].1 = Copy::SidecarOnly;
    let source = Source::new();
    source.deliver(&Export { cut: Cut::Apart(3), ..Export::default() }, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn albums_have_their_titles() {
    let mut library = Library::default();
    for number in 0..8 {
        library.add(Photo::new(
            &format!("IMG_{number}.jpg"),
            NEW_YEAR_2024 + number as Seconds,
            photo(number),
        ));
    }
    library.album("Basement Office", &[0]).description = Description::TitleOnly;
    library.album("Of 2019", &[1]).description = Description::AlbumData;
    library.album("Straße: été & 🏖", &[2]);
    library.album("2024/Trip 6/10/23", &[3]);
    library.album("Twice", &[4]);
    library.album("Twice", &[5]);
    library.album("", &[6]);
    library.album("Photos from 2020", &[7]).description = Description::TitleOnly;
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn live_and_motion_photos_have_their_videos_at_the_same_time() {
    let mut library = Library::default();
    let video = |number| Content::Video { number, size: 5000 };
    for (number, (title, extension)) in [
        ("IMG_1.HEIC", ".MP4"),
        ("IMG_1.JPG", ".MP4"),
        ("PXL_20240101_000000.MP.jpg", ""),
        ("MVIMG_20240101.jpg", ""),
        ("PXL_20240102~2.jpg", ".MP4"),
    ]
    .into_iter()
    .enumerate()
    {
        let taken = NEW_YEAR_2024 + number as Seconds * 60;
        let photo = Photo::new(title, taken, photo(number as u64));
        library.add(Photo { video: Some((extension, video(number as u64))), ..photo });
    }
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good();
    source.assert_whole(&library);
}

#[test]
fn photos_are_where_their_flags_put_them() {
    let mut library = Library::default();
    let mut add = |title: &str, change: fn(&mut Photo)| {
        let number = library.photos.len();
        let taken = NEW_YEAR_2024 + number as Seconds;
        let mut photo = Photo::new(title, taken, photo(number as u64));
        change(&mut photo);
        library.add(photo)
    };
    add("plain.jpg", |_| {});
    add("favorite.jpg", |photo| photo.favorite = true);
    add("partner.jpg", |photo| photo.partner = true);
    let archived = add("archived.jpg", |photo| photo.place = Place::Archive);
    add("both.jpg", |photo| (photo.place, photo.favorite) = (Place::Archive, true));
    add("trashed.jpg", |photo| photo.place = Place::Trash);
    add("failed.mp4", |photo| photo.place = Place::FailedVideos);
    library.album("Trip", &[archived]);
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn other_services_are_left_out() {
    let (source, library) = (Source::new(), Library::filled(20, 1000));
    let others = [
        ("Contacts/All Contacts/All Contacts.vcf", Content::text("BEGIN:VCARD")),
        ("Contacts/All Contacts/Ann.jpg", photo(901)),
        ("Drive/notes.txt", Content::text("notes")),
        ("Drive/Photos from 1999/scan.jpg", photo(902)),
        ("Google Photos/print-subscriptions.json", Content::text("{}")),
        ("Google Photos/shared_album_comments.json", Content::text("{\"sharedAlbumComments\":[]}")),
        ("Google Photos/user-generated-memory-titles.json", Content::text("{}")),
    ];
    let others = others.map(|(path, content)| (path.to_owned(), content)).to_vec();
    source.deliver(&Export { others, ..Export::default() }, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn unpacked_exports_are_read_beside_archives() {
    let mut library = Library::filled(40, 1000);
    let late = library.photos.len();
    for number in 0..5 {
        let taken = NEW_YEAR_2024 + number as Seconds;
        let photo = Photo::new(&format!("été {number}.jpg"), taken, photo(500 + number));
        library.add(Photo { changed: 2_000_000_000, ..photo });
    }
    library.album("Café", &[late, late + 1]);
    let source = Source::new();
    let first = Library { photos: library.photos[..late].to_vec(), ..library.clone() };
    let first = Library { albums: first.albums[..first.albums.len() - 1].to_vec(), ..first };
    source.deliver(&Export::default(), &first);
    // As macOS unpacks it: decomposed names, and files with attributes.
    let later = Export {
        at: 1_736_000_000,
        since: Some(1_900_000_000),
        language: Language::French,
        ..Export::default()
    };
    delivery::unpacked_as(&source.directory, &later, &library, |name| {
        name.replace('é', "e\u{301}")
    });
    let folder = source.directory.join("Takeout/Google\u{a0}Photos/Photos de 2024");
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let name = format!("._{}", entry.file_name().to_str().unwrap());
        fs::write(folder.join(name), b"\0\x05\x16\x07").unwrap();
    }
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn an_unpacked_export_alone_is_the_library() {
    let (source, library) = (Source::new(), Library::filled(60, 1000));
    delivery::unpacked(&source.directory, &Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn archives_are_read_however_they_were_written() {
    let library = Library::filled(40, 2000);
    for style in [
        ZipStyle { deflated: true, ..ZipStyle::default() },
        ZipStyle { deflated: true, descriptors: true, ..ZipStyle::default() },
        ZipStyle { descriptors: true, ..ZipStyle::default() },
        ZipStyle { zip64: true, ..ZipStyle::default() },
        ZipStyle { zip64: true, deflated: true, descriptors: true, without_utf8_flag: true },
    ] {
        let source = Source::new();
        let export = Export { series: Some(3), ..Export::default() };
        delivery::zips(&source.directory, &export, &library, style);
        source.backup().good().says("without errors");
        source.assert_whole(&library);
    }
}

#[test]
fn without_the_view_archives_are_files() {
    let (source, library) = (Source::new(), Library::filled(10, 1000));
    let archives = source.deliver(&Export::default(), &library);
    source.place.plakar(["source", "unset", "exports", "view"]).good();
    source.backup().good().says("without errors");
    let restored = source.place.restore_here("restored");
    let name = archives[0].name();
    assert_eq!(fs::read(restored.join(&name)).unwrap(), fs::read(&archives[0].path).unwrap());
}
