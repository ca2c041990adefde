//! Names of files and sidecars.

use super::{File, YEAR, file, json, photo, snapshot};

#[test]
fn a_photo_has_its_name_its_time_and_its_sidecar() {
    let found = snapshot(photo(YEAR, "IMG.jpg", 1_691_302_230));
    let shown: Vec<_> = found.files.iter().map(|(path, time, _)| (&**path, *time)).collect();
    let expected = ["media/by-year/2023/IMG.jpg", "sidecar/media/by-year/2023/IMG.jpg.json"];
    assert_eq!(shown, expected.map(|path| (path, 1_691_302_230)));
    let directories = ["media", "media/by-year", "media/by-year/2023"];
    let sidecars = ["sidecar", "sidecar/media", "sidecar/media/by-year"];
    assert_eq!(found.directories[..3], directories);
    assert_eq!(found.directories[3..6], sidecars);
}

#[test]
fn every_form_of_a_sidecar_s_name_is_that_of_its_photo() {
    let words = "supplemental-metadata";
    for length in 1..60 {
        let name = format!("{}.jpg", "n".repeat(length.min(47)));
        let title = format!("{}.jpg", "n".repeat(length));
        for form in [title.clone(), format!("{title}.{words}")] {
            for cut in [46, 1000] {
                let stem: String = form.chars().take(cut).collect();
                let path = format!("{YEAR}/{stem}");
                let files = vec![file(&format!("{YEAR}/{name}"), "x"), json(&path, &title, 5, "")];
                let path = format!("media/by-year/2023/{title}");
                assert_eq!(snapshot(files).times(), [(&*path, 5)], "{stem}");
            }
        }
    }
}

#[test]
fn a_number_is_moved_or_stays() {
    for sidecar in [
        "IMG.jpg(1)",
        "IMG.jpg.supplemental-metadata(1)",
        "IMG.jpg.suppl(1)",
        "IMG.jpg.(1)",
        "IMG(1).jpg",
        "IMG(1).jpg.supplemental-metadata",
    ] {
        let files = vec![
            file(&format!("{YEAR}/IMG.jpg"), "first"),
            file(&format!("{YEAR}/IMG(1).jpg"), "second"),
            json(&format!("{YEAR}/IMG.jpg"), "IMG.jpg", 5, ""),
            json(&format!("{YEAR}/{sidecar}"), "IMG.jpg", 1_691_302_230, ""),
        ];
        let found = snapshot(files);
        let twin = "media/by-year/2023/IMG {2023-08-06 06.10.30}.jpg";
        assert_eq!(found.times(), [(twin, 1_691_302_230), ("media/by-year/2023/IMG.jpg", 5)]);
        assert_eq!(found.contents(twin), "second", "{sidecar}");
    }
    for (name, title) in [("21.12(1).11 - 1.jpg", "21.12(1).11 - 1"), ("PXL~2.jpg", "PXL~2.jpg")] {
        let sidecar = json(&format!("{YEAR}/{title}"), title, 5, "");
        let found = snapshot(vec![file(&format!("{YEAR}/{name}"), "x"), sidecar]);
        assert_eq!(found.times(), [(&*format!("media/by-year/2023/{name}"), 5)]);
    }
}

#[test]
fn no_photo_gets_the_time_of_another_one() {
    // The sidecar of the second one is missing, and so is the photo of the third.
    let found = snapshot(vec![
        file(&format!("{YEAR}/IMG.jpg"), "1"),
        file(&format!("{YEAR}/IMG(1).jpg"), "2"),
        file(&format!("{YEAR}/IMG_1.jpg"), "3"),
        json(&format!("{YEAR}/IMG.jpg"), "IMG.jpg", 5, ""),
        json(&format!("{YEAR}/IMG.jpg(2)"), "IMG.jpg", 6, ""),
    ]);
    let new_year = 1_672_531_200;
    assert_eq!(
        found.times(),
        [
            ("media/by-year/2023/IMG(1).jpg", new_year),
            ("media/by-year/2023/IMG.jpg", 5),
            ("media/by-year/2023/IMG_1.jpg", new_year),
        ]
    );
    assert_eq!((found.summary.counts.without_sidecar, found.summary.lone_sidecars), (2, 1));
    let kept = found.contents("sidecar/unmatched/Photos from 2023/IMG.jpg(2).json");
    assert!(kept.contains(r#""timestamp":"6""#), "{kept}");
}

#[test]
fn two_sidecars_for_one_photo_are_none_unless_they_agree() {
    let with = |other: i64| {
        vec![
            file(&format!("{YEAR}/IMG.jpg"), "1"),
            json(&format!("{YEAR}/IMG.jpg"), "IMG.jpg", 5, ""),
            json(&format!("{YEAR}/IMG.jpg.supplemental-meta"), "IMG.jpg", other, ""),
        ]
    };
    assert_eq!(snapshot(with(5)).times()[0].1, 5);
    let found = snapshot(with(6));
    assert_eq!(found.times()[0].1, 1_672_531_200);
    assert_eq!((found.summary.counts.ambiguous, found.summary.lone_sidecars), (1, 2));
}

/// Exports photos of long names that share the beginning, as Google names them.
fn long_names(titles: &[String]) -> Vec<File> {
    let (mut files, mut media, mut sidecars) = (Vec::new(), Vec::new(), Vec::new());
    let number = |used: &mut Vec<String>, name: &str| {
        used.push(name.to_owned());
        match used.iter().filter(|other| *other == name).count() - 1 {
            0 => String::new(),
            number => format!("({number})"),
        }
    };
    for (taken, title) in (100..).zip(titles) {
        let stem: String = title.trim_end_matches(".jpg").chars().take(47).collect();
        let media_number = number(&mut media, &stem);
        files.push(file(&format!("{YEAR}/{stem}{media_number}.jpg"), title));
        let stem: String = format!("{title}.supplemental-metadata").chars().take(46).collect();
        let sidecar_number = number(&mut sidecars, &stem);
        files.push(json(&format!("{YEAR}/{stem}{sidecar_number}"), title, taken, ""));
    }
    files
}

#[test]
fn photos_of_the_same_cut_name_have_their_own_times_or_none() {
    let long = "n".repeat(46);
    let all_cut: Vec<_> = (0..500).map(|number| format!("{long}x{number}.jpg")).collect();
    let differing: Vec<_> = (0..300).map(|number| format!("{long}{number}.jpg")).collect();
    let few = ["b1", "a1", "a2", "c"].map(|end| format!("{long}{end}.jpg")).to_vec();
    for (titles, min_found) in [(all_cut, 500), (differing, 1), (few, 2)] {
        let found = snapshot(long_names(&titles));
        let mut own = 0;
        for (path, time, contents) in &found.files {
            let number = titles.iter().position(|title| title == contents);
            let Some(number) = number.filter(|_| !path.starts_with("sidecar/")) else { continue };
            let expected = 100 + i64::try_from(number).unwrap();
            assert!(*time == expected || *time == 1_672_531_200, "{contents} got {time}");
            own += usize::from(*time == expected);
        }
        assert!(own >= min_found, "{own} of {}", titles.len());
        assert_eq!(found.paths().len(), titles.len());
    }
}

#[test]
fn what_is_derived_of_a_photo_has_its_time() {
    let mut files = photo(YEAR, "IMG.HEIC", 5);
    files.extend(photo(YEAR, "PXL.MP.jpg", 6));
    files.extend(photo(YEAR, "MVIMG.jpg", 7));
    files.extend(photo(YEAR, "IMG-20230101-WA0001.jpg", 8));
    for name in [
        "IMG.MP4",
        "IMG-bearbeitet.jpg",
        "IMG-ha editado.HEIC",
        "PXL.MP",
        "MVIMG",
        "IMG-20230101-WA0001-edi.jpg",
        // These are other photos, whose sidecars are missing.
        "IMG-20230101-WA0002.jpg",
        "IMG-.jpg",
        "IMGx.MP4",
    ] {
        files.push(file(&format!("{YEAR}/{name}"), name));
    }
    files.push(file(&format!("{YEAR}/N(2).jpg"), "n"));
    files.push(json(&format!("{YEAR}/N.jpg(2)"), "N.jpg", 9, ""));
    files.push(file(&format!("{YEAR}/N-edited(2).jpg"), "edited"));
    let found = snapshot(files);
    let times = found.times();
    let time = |name: &str| times.iter().find(|it| it.0 == format!("media/by-year/2023/{name}"));
    for (name, expected) in [
        ("IMG.MP4", 5),
        ("IMG-bearbeitet.jpg", 5),
        ("IMG-ha editado.HEIC", 5),
        ("PXL.MP", 6),
        ("MVIMG", 7),
        ("IMG-20230101-WA0001-edi.jpg", 8),
        ("N-edited.jpg", 9),
        ("IMG-20230101-WA0002.jpg", 1_672_531_200),
        ("IMG-.jpg", 1_672_531_200),
        ("IMGx.MP4", 1_672_531_200),
    ] {
        assert_eq!(time(name).map(|it| it.1), Some(expected), "{name}");
    }
}

#[test]
fn a_video_of_two_photos_gets_no_time() {
    let mut files = photo(YEAR, "IMG.HEIC", 5);
    files.extend(photo(YEAR, "IMG.JPG", 6));
    files.push(file(&format!("{YEAR}/IMG.MP4"), "video"));
    let found = snapshot(files);
    assert_eq!(found.times()[2], ("media/by-year/2023/IMG.MP4", 1_672_531_200));
    assert_eq!(found.summary.counts.ambiguous, 1);
}
