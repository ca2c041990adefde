//! What the value of an option that names other remotes may be.

/// The option that is a list, and the backend whose list has directories' names in it.
const LIST: &str = "upstreams";
const COMBINE: &str = "combine";

/// Whether one of the remotes that a value names is made up on the spot:
/// `:sftp,ssh=...:` or `name,opt=...:`.
///
/// Source: rclone's fspath.Parse.
pub fn makes_up_remotes(option: &str, value: &str) -> bool {
    ["", COMBINE]
        .iter()
        .any(|backend| remotes(backend, option, value).iter().any(|target| makes_up(target)))
}

/// The remotes and local paths that a value names, without what only says how they are used.
///
/// Source: rclone's backends combine (`directory=remote`) and union (`remote:ro`).
pub fn remotes(backend: &str, option: &str, value: &str) -> Vec<String> {
    if option != LIST {
        return vec![value.trim().to_owned()];
    }
    let whole = |field: String| match backend {
        COMBINE => field.split_once('=').map_or(field.clone(), |(_, remote)| remote.to_owned()),
        _ => {
            let uses = [":ro", ":nc", ":writeback"];
            let bare = uses.iter().find_map(|end| field.strip_suffix(end));
            bare.unwrap_or(&field).to_owned()
        }
    };
    fields(value).into_iter().filter(|field| !field.is_empty()).map(whole).collect()
}

/// A remote's name ends at the first colon, unless a comma comes before it. Whatever
/// has a slash before either is a local path.
fn makes_up(target: &str) -> bool {
    let target = target.trim();
    target.starts_with(':')
        || target
            .find([',', ':', '/'])
            .is_some_and(|first| target[first..].starts_with(',') && target[first..].contains(':'))
}

/// Takes a list apart at the spaces that aren't quoted. A quote in a quoted field is
/// written twice.
///
/// Source: rclone's SpaceSepList, which is Go's encoding/csv with a space for the comma.
fn fields(list: &str) -> Vec<String> {
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
                assert!(makes_up_remotes(option, target), "{option} {target}");
            }
            let quoted = format!("\"{}\"", target.replace('"', "\"\""));
            for list in [quoted.clone(), format!("base:a {quoted} /srv")] {
                assert!(makes_up_remotes("upstreams", &list), "{list}");
            }
            for name in ["d", "a:b", "a,b"] {
                let list = format!("x=base: \"{name}={}\"", target.replace('"', "\"\""));
                assert!(makes_up_remotes("upstreams", &list), "{list}");
            }
        }
        assert!(makes_up_remotes("upstreams", "d=:local:/"));
    }

    #[test]
    fn a_name_or_a_path_is_no_connection_string() {
        for target in ["base:dir", "/srv/a,b", "base:a,b", "/a:b,c", "base:a=b,c:d", "a,b", ""] {
            assert!(!makes_up_remotes("remote", target), "{target}");
        }
        for list in
            ["d=base:x e=/srv/a,b:c", "base:a /srv/b:ro \"my base:a b\":nc", "\"d=base:x y\""]
        {
            assert!(!makes_up_remotes("upstreams", list), "{list}");
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
            assert_eq!(remotes(backend, "upstreams", list), names, "{list}");
        }
        assert_eq!(remotes("alias", "remote", "my base:a b"), ["my base:a b"]);
    }
}
