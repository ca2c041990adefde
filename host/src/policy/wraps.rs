//! What the value of an option that names other remotes may be.

/// Whether one of the remotes that a value names is made up on the spot:
/// `:sftp,ssh=...:` or `name,opt=...:`.
///
/// Source: rclone's fspath.Parse, and for lists its SpaceSepList.
pub fn makes_up_remotes(option: &str, value: &str) -> bool {
    if option != "upstreams" {
        return makes_up(value);
    }
    fields(value).iter().any(|field| {
        // An upstream of combine has its directory's name before it.
        makes_up(field) || field.split_once('=').is_some_and(|(_, remote)| makes_up(remote))
    })
}

/// The remotes and local paths that a value names, without what only says how they are used.
///
/// Source: rclone's backends combine (`directory=remote`) and union (`remote:ro`).
pub fn remotes(backend: &str, option: &str, value: &str) -> Vec<String> {
    if option != "upstreams" {
        return vec![value.trim().to_owned()];
    }
    let whole = |field: String| match backend {
        "combine" => field.split_once('=').map_or(field.clone(), |(_, remote)| remote.to_owned()),
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

/// Takes a list apart at the spaces that aren't quoted.
fn fields(list: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for char in list.chars() {
        match char {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.iter_mut().last().into_iter().for_each(|field| field.push(char)),
        }
    }
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
}
