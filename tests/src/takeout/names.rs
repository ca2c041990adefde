//! Names of files in an export: cleaned, cut and numbered within a folder.
//!
//! Source: names in public listings and reports (immich-go's tests and docs/misc/google-takeout.md,
//! ente PR #4956, GooglePhotosTakeoutHelper PR #449).

use std::collections::HashSet;

/// Number of characters to which the stem of a photo's name is cut.
const MAX_STEM: usize = 47;

/// Number of characters to which a sidecar's name is cut, its number and `.json` not counted.
const MAX_SIDECAR: usize = 46;

/// Form of the sidecars' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SidecarForm {
    /// `NAME.jpg.json`, until the autumn of 2024.
    Old,
    /// `NAME.jpg.supplemental-metadata.json`.
    New,
}

/// Where the sidecar of `NAME(1).jpg` has the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberPlace {
    /// `NAME.jpg(1).json`
    Moved,
    /// `NAME(1).jpg.json`
    Left,
}

/// Names of a photo's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// Name of the photo.
    pub photo: String,
    /// Name of its edited copy.
    pub edited: Option<String>,
    /// Name of its video.
    pub video: Option<String>,
    /// Name of its sidecar.
    pub sidecar: String,
}

/// What the names of a photo's files are made of.
pub struct Request<'a> {
    /// Title of the photo.
    pub title: &'a str,
    /// Extension that Google adds to the title.
    pub added_extension: &'a str,
    /// Suffix of the edited copy, if there is one.
    pub edited: Option<&'a str>,
    /// Extension of the video, if there is one.
    pub video: Option<&'a str>,
    /// Form of the names of sidecars.
    pub form: SidecarForm,
    /// Place of the number in the names of sidecars.
    pub number_place: NumberPlace,
}

/// Names of one folder that are in use.
#[derive(Default)]
pub struct Folder {
    used: HashSet<String>,
}

impl Folder {
    /// Chooses the names of a photo's files, with the first number that is free.
    pub fn choose(&mut self, request: &Request<'_>) -> FileNames {
        let clean = sanitise(request.title);
        let (stem, extension) = split_extension(&clean);
        let short = cut(stem, MAX_STEM);
        let extension = format!("{extension}{}", request.added_extension);
        for number in 0.. {
            let numbered = numbered(number);
            let photo = format!("{short}{numbered}{extension}");
            let edited = request.edited.map(|suffix| {
                let stem = cut(&format!("{short}{suffix}"), MAX_STEM).to_owned();
                format!("{stem}{numbered}{extension}")
            });
            let video = request.video.map(|extension| format!("{short}{numbered}{extension}"));
            let all = [Some(&photo), edited.as_ref(), video.as_ref()];
            if all.into_iter().flatten().any(|name| self.used.contains(name)) {
                continue;
            }
            self.used.extend(all.into_iter().flatten().cloned());
            let sidecar = self.sidecar(request, &clean, number);
            return FileNames { photo, edited, video, sidecar };
        }
        unreachable!()
    }

    /// The sidecar's name, with a higher number where names that were cut are equal.
    fn sidecar(&mut self, request: &Request<'_>, clean: &str, number: u32) -> String {
        for number in number.. {
            let (base, after) = match request.number_place {
                NumberPlace::Moved => (clean.to_owned(), numbered(number)),
                NumberPlace::Left => {
                    let (stem, extension) = split_extension(clean);
                    (format!("{stem}{}{extension}", numbered(number)), String::new())
                }
            };
            let whole = match request.form {
                SidecarForm::Old => base,
                SidecarForm::New => format!("{base}.supplemental-metadata"),
            };
            let short = cut(&whole, MAX_SIDECAR);
            // A number that was cut off tells nothing apart.
            let is_lost = after.is_empty() && !short.contains(&numbered(number));
            let after = if is_lost { numbered(number) } else { after };
            let name = format!("{short}{after}.json");
            if self.used.insert(name.clone()) {
                return name;
            }
        }
        unreachable!()
    }

    /// The name of an album's folder, with the first number that is free.
    pub fn album(&mut self, title: &str, untitled: &str) -> String {
        let clean = sanitise(if title.is_empty() { untitled } else { title });
        let short = cut(&clean, MAX_STEM);
        let name = (0..).map(|number| format!("{short}{}", numbered(number)));
        let mut free = name.filter(|name| self.used.insert(name.clone()));
        free.next().unwrap()
    }
}

fn numbered(number: u32) -> String {
    if number == 0 { String::new() } else { format!("({number})") }
}

/// Replaces what Google doesn't leave in names of files.
pub fn sanitise(title: &str) -> String {
    title.replace(['/', ':', '*', '?', '"', '<', '>', '|', '\\', '&', '%'], "_")
}

/// Splits a name before its last dot, unless that is its beginning.
pub fn split_extension(name: &str) -> (&str, &str) {
    let at = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 6);
    name.split_at(at.unwrap_or(name.len()))
}

/// The first characters, up to a number of them.
fn cut(text: &str, characters: usize) -> &str {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(title: &str) -> Request<'_> {
        Request {
            title,
            added_extension: "",
            edited: None,
            video: None,
            form: SidecarForm::New,
            number_place: NumberPlace::Moved,
        }
    }

    #[test]
    fn names_are_those_of_public_exports() {
        let mut folder = Folder::default();
        let first = folder.choose(&request("IMG_1.jpg"));
        assert_eq!(first.sidecar, "IMG_1.jpg.supplemental-metadata.json");
        let second = folder.choose(&Request { edited: Some("-edited"), ..request("IMG_1.jpg") });
        assert_eq!(second.photo, "IMG_1(1).jpg");
        assert_eq!(second.edited.as_deref(), Some("IMG_1-edited(1).jpg"));
        assert_eq!(second.sidecar, "IMG_1.jpg.supplemental-metadata(1).json");
        let old = Request { form: SidecarForm::Old, ..request("IMG_1.jpg") };
        assert_eq!(folder.choose(&old).sidecar, "IMG_1.jpg(2).json");
        let left = Request { number_place: NumberPlace::Left, ..request("IMG_1.jpg") };
        assert_eq!(folder.choose(&left).sidecar, "IMG_1(3).jpg.supplemental-metadata.json");
        let long = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_PXL_2022.jpg";
        let long = folder.choose(&request(long));
        assert_eq!(long.photo, "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_P.jpg");
        assert_eq!(long.sidecar, "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_.json");
    }

    #[test]
    fn folders_of_albums_are_numbered() {
        let mut folder = Folder::default();
        let names =
            ["Trip", "Trip", "6/10/23", "", ""].map(|title| folder.album(title, "Untitled"));
        assert_eq!(names, ["Trip", "Trip(1)", "6_10_23", "Untitled", "Untitled(1)"]);
    }
}
