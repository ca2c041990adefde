//! Values of options that name remotes.

/// The option whose value is a list.
const LIST_OPTION: &str = "upstreams";

/// The backend whose list contains names of directories.
const COMBINE_BACKEND: &str = "combine";

/// Whether one of the remotes that a value names is a connection string, which defines a
/// remote in place: `:sftp,ssh=...:` or `name,opt=...:`.
///
/// Source: rclone's fspath.Parse.
pub fn contains_connection_string(option: &str, value: &str) -> bool {
    ["", COMBINE_BACKEND].iter().any(|backend| {
        upstreams(backend, option, value).iter().any(|target| is_connection_string(target))
    })
}

/// Lists the remotes and local paths that a value names, without their modifiers.
///
/// Source: rclone's backends combine (`directory=remote`) and union (`remote:ro`).
pub fn upstreams(backend: &str, option: &str, value: &str) -> Vec<String> {
    if option != LIST_OPTION {
        return vec![value.trim().to_owned()];
    }
    let remote = |field: String| match backend {
        COMBINE_BACKEND => {
            field.split_once('=').map_or(field.clone(), |(_, remote)| remote.to_owned())
        }
        _ => {
            let modifiers = [":ro", ":nc", ":writeback"];
            let bare = modifiers.iter().find_map(|end| field.strip_suffix(end));
            bare.unwrap_or(&field).to_owned()
        }
    };
    split_list(value).into_iter().filter(|field| !field.is_empty()).map(remote).collect()
}

/// Whether a remote is a connection string. A name ends at the first colon, unless a comma
/// comes before it. A target with a slash before either is a local path.
fn is_connection_string(target: &str) -> bool {
    let target = target.trim();
    target.starts_with(':')
        || target
            .find([',', ':', '/'])
            .is_some_and(|first| target[first..].starts_with(',') && target[first..].contains(':'))
}

/// Splits a list at the spaces outside of quotes. A quote in a quoted field is written twice.
///
/// Source: rclone's SpaceSepList, which is Go's encoding/csv with a space for the comma.
fn split_list(list: &str) -> Vec<String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(char),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_found_wherever_a_remote_is_named() {
        for target in [
            ":sftp,ssh=x:",
            ":local:/etc",
            "base,ssh=x:dir",
            "self,type=sftp,ssh=/bin/sh -c x:dir",
            "self,type=sftp,host=x,ssh=\"/bin/sh -c x\":",
            "a b,ssh=x y/z:",
        ] {
            for option in ["remote", "tmp_upload_path"] {
                assert!(contains_connection_string(option, target), "{option} {target}");
            }
            let quoted = format!("\"{}\"", target.replace('"', "\"\""));
            for list in [quoted.clone(), format!("base:a {quoted} /srv")] {
                assert!(contains_connection_string("upstreams", &list), "{list}");
            }
            for name in ["d", "a:b", "a,b"] {
                let list = format!("x=base: \"{name}={}\"", target.replace('"', "\"\""));
                assert!(contains_connection_string("upstreams", &list), "{list}");
            }
        }
        assert!(contains_connection_string("upstreams", "d=:local:/"));
    }

    #[test]
    fn a_name_or_a_path_is_no_connection_string() {
        for target in ["base:dir", "/srv/a,b", "base:a,b", "/a:b,c", "base:a=b,c:d", "a,b", ""] {
            assert!(!contains_connection_string("remote", target), "{target}");
        }
        for list in
            ["d=base:x e=/srv/a,b:c", "base:a /srv/b:ro \"my base:a b\":nc", "\"d=base:x y\""]
        {
            assert!(!contains_connection_string("upstreams", list), "{list}");
        }
    }

    #[test]
    fn the_remotes_of_a_list_are_named_as_rclone_takes_it_apart() {
        for (backend, list, names) in [
            ("union", r#"base:a "my base:a b":ro /srv"#, &["base:a", "my base:a b", "/srv"][..]),
            ("union", r#""my base:a b" c:"#, &["my base:a b", "c:"]),
            ("union", r#""say ""x"":y" z:"#, &[r#"say "x":y"#, "z:"]),
            ("union", "base:a=b", &["base:a=b"]),
            ("combine", r#"dir=remote: "two words=my base:a=b""#, &["remote:", "my base:a=b"]),
            ("combine", "  ", &[]),
        ] {
            assert_eq!(upstreams(backend, "upstreams", list), names, "{list}");
        }
        assert_eq!(upstreams("alias", "remote", "my base:a b"), ["my base:a b"]);
    }
}
