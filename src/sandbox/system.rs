//! The part of this machine that every sandbox shows: programs, libraries, settings; without what is secret of them.

use std::path::Path;

use super::layout::{Layout, Mount};

/// Folders of the system. Not among them: homes, `/var`, `/run` (sockets of services and of containers), `/srv`,
/// `/mnt`, `/media`.
const SHOWN: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
    "/sys/devices/system",
];

/// What only root may read of them: cq may be root.
const SECRET: [&str; 17] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/krb5.keytab",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/letsencrypt",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/NetworkManager/system-connections",
    "/etc/docker",
    "/etc/kubernetes",
    "/etc/rancher",
];

/// The names of hosts are looked up as this says; often a link into `/run`.
const RESOLVER: &str = "/etc/resolv.conf";

/// What is there on this machine.
pub(super) fn layout() -> Layout {
    let mut layout = Layout::default();
    for path in SHOWN.map(Path::new) {
        let Ok(about) = path.symlink_metadata() else { continue };
        match std::fs::read_link(path) {
            Ok(to) => layout.put(Mount::Link { to, at: path.to_owned() }),
            Err(_) if about.is_dir() => layout.put(Mount::shown(path)),
            Err(_) => {}
        }
    }
    for path in SECRET.map(Path::new) {
        let Ok(about) = path.symlink_metadata() else { continue };
        if about.is_dir() || about.is_file() {
            layout.hide(path, about.is_file());
        }
    }
    if let Ok(real) = std::fs::canonicalize(RESOLVER) {
        layout.show(Path::new(RESOLVER), &real);
    }
    layout
}
