//! Control groups (cgroups(7)). The group that was delegated to the service contains one for
//! each tenant, with the tenant's limits, and that contains one for each session, which is
//! killed as a whole when the session ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the group of the service's own processes: a group that contains groups can't
/// contain processes.
const SERVICE_GROUP: &str = "service";
/// Prefix of the names of tenants' groups.
const TENANT_PREFIX: &str = "tenant-";
/// Controllers that are used, where they are delegated.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Time that a killed group may take to become empty.
const CGROUP_EMPTY_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval at which a killed group is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Control group of a service.
#[derive(Debug)]
pub struct ServiceCgroup {
    directory: PathBuf,
}

impl ServiceCgroup {
    /// Takes over the group that this program was started in, and kills what an earlier
    /// service left in it.
    ///
    /// # Errors
    ///
    /// This program has no group of its own, or can't write to it.
    pub fn take_over() -> io::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let directory = find_directory(&own, &mounts).ok_or_else(|| {
            io::Error::other("it has no control group of its own below a mounted cgroup2")
        })?;
        for entry in fs::read_dir(&directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TENANT_PREFIX) {
                kill_and_remove(&entry.path())?;
            }
        }
        let ours = directory.join(SERVICE_GROUP);
        create_if_missing(&ours)?;
        fs::write(ours.join("cgroup.procs"), "0")?;
        enable_controllers(&directory)?;
        Ok(Self { directory })
    }

    /// Gives the group to a user, who creates and removes groups in it from then on.
    ///
    /// # Errors
    ///
    /// The owner of its files can't be changed.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only Linux has user namespaces")
    )]
    pub fn chown(&self, uid: u32, gid: u32) -> io::Result<()> {
        for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(self.directory.join(name), Some(uid), Some(gid))?;
        }
        let own = self.directory.join(SERVICE_GROUP);
        chown(own.join("cgroup.procs"), Some(uid), Some(gid))
    }

    /// Creates the group of a tenant.
    ///
    /// # Errors
    ///
    /// The directory can't be created.
    pub fn create_tenant(&self, name: &str) -> io::Result<TenantCgroup> {
        let directory = self.directory.join(format!("{TENANT_PREFIX}{name}"));
        create_if_missing(&directory)?;
        Ok(TenantCgroup { directory })
    }
}

/// Control group of a tenant's processes.
#[derive(Debug)]
pub struct TenantCgroup {
    directory: PathBuf,
}

impl TenantCgroup {
    /// Limits the memory, in bytes, and the threads of all its processes together, where these
    /// controllers are delegated. The kernel chooses what it kills, so its memory limit is a
    /// quarter above the tenant's: the service ends a session first, with a message.
    ///
    /// # Errors
    ///
    /// A limit can't be written.
    pub fn set_limits(&self, memory: Option<u64>, threads: u64) -> io::Result<()> {
        let memory = memory.map_or("max".to_owned(), |bytes| (bytes + bytes / 4).to_string());
        for (file, limit) in [("memory.max", memory), ("pids.max", threads.to_string())] {
            let file = self.directory.join(file);
            if file.exists() {
                fs::write(file, limit)?;
            }
        }
        Ok(())
    }

    /// Creates the group of a session.
    ///
    /// # Errors
    ///
    /// The directory can't be created, or its members can't be written.
    pub fn create_session(&self, name: &str) -> io::Result<SessionCgroup> {
        let directory = self.directory.join(name);
        create_if_missing(&directory)?;
        let members = OpenOptions::new().write(true).open(directory.join("cgroup.procs"))?;
        Ok(SessionCgroup { directory, members })
    }
}

/// Control group of a session's processes, which are killed when this is dropped.
#[derive(Debug)]
pub struct SessionCgroup {
    directory: PathBuf,
    members: File,
}

impl SessionCgroup {
    /// The file to which a process writes `0` to become a member.
    pub fn members(&self) -> BorrowedFd<'_> {
        self.members.as_fd()
    }
}

impl Drop for SessionCgroup {
    fn drop(&mut self) {
        let directory = std::mem::take(&mut self.directory);
        kill(&directory);
        if fs::remove_dir(&directory).is_ok() {
            return;
        }
        // Killed processes need a moment to exit.
        let empty = async move {
            while fs::remove_dir(&directory).is_err_and(|error| is_busy(&error)) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(CGROUP_EMPTY_TIMEOUT, empty));
        }
    }
}

/// Directory of the group of this program, from its `/proc/self/cgroup` and its mounts
/// (proc_pid_mountinfo(5)). `None` for the root of all groups, which can't be owned.
fn find_directory(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        if !after.starts_with("cgroup2 ") {
            continue;
        }
        let mut words = before.split(' ').skip(3);
        let (Some(root), Some(mount_point)) = (words.next(), words.next()) else { continue };
        let Ok(below) = Path::new(path).strip_prefix(root) else { continue };
        return if below == Path::new("") {
            None
        } else {
            Some(Path::new(mount_point).join(below))
        };
    }
    None
}

fn create_if_missing(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Enables the delegated controllers for the groups in this one.
fn enable_controllers(directory: &Path) -> io::Result<()> {
    let delegated = fs::read_to_string(directory.join("cgroup.controllers"))?;
    for controller in delegated.split_whitespace().filter(|it| CONTROLLERS.contains(it)) {
        fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

/// Kills all processes of a group and of those below it.
fn kill(directory: &Path) {
    // The group may have been removed already.
    let _ = fs::write(directory.join("cgroup.kill"), "1");
}

/// Kills all processes of a group, and removes it with the groups below it.
fn kill_and_remove(directory: &Path) -> io::Result<()> {
    kill(directory);
    let below = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    for group in below.filter(|path| path.is_dir()) {
        kill_and_remove(&group)?;
    }
    let mut attempts = CGROUP_EMPTY_TIMEOUT.as_millis() / POLL_INTERVAL.as_millis();
    loop {
        match fs::remove_dir(directory) {
            Err(error) if is_busy(&error) && attempts > 0 => std::thread::sleep(POLL_INTERVAL),
            removed => return removed,
        }
        attempts -= 1;
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_s_own_is_found_below_the_mount() {
        let own = "4:memory:/x\n0::/system.slice/plakbox.service\n";
        let mounts = "30 2 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let found = find_directory(own, mounts).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/system.slice/plakbox.service"));
        let inner = mounts.replace(" / /sys", " /system.slice /sys");
        let found = find_directory(own, &inner).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/plakbox.service"));
        assert_eq!(find_directory("0::/\n", mounts), None);
        assert_eq!(find_directory(own, "30 2 0:26 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
