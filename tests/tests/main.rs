//! Everything that is promised, with the real programs: one module for each promise. They
//! are one program, so that what waits in one goes on while another works.

mod accounting;
mod backend_facts;
mod cleanup;
mod cli;
mod concurrency;
mod concurrent_restores;
mod confinement;
mod contract;
mod doctor;
mod emulator;
mod example;
mod failures;
mod fake_conformance;
mod fuzz;
mod google_photos;
mod google_photos_albums;
mod google_photos_faults;
mod google_photos_messages;
mod google_photos_parts;
mod identity;
mod incremental;
mod memory;
mod options;
mod package;
mod policy;
mod remotes;
mod rogue_configurations;
mod rogue_snapshots;
mod sandbox;
mod secrets;
mod security_doc;
mod servers;
mod service;
mod service_deploy;
mod service_faults;
mod service_floods;
mod service_groups;
mod service_hostile;
mod service_namespace;
mod service_operations;
mod service_rights;
mod service_soak;
mod service_strangers;
mod service_tenants;
mod service_tls;
mod source;
mod store;
mod store_kills;
mod store_layouts;
mod store_locks;
mod store_machines;
mod store_policy;
mod store_protocol;
mod store_rogue;
mod store_servers;
mod strictest_policy;
mod system_calls;
mod takeout;
mod takeout_costs;
mod takeout_faults;
mod takeout_restore;
mod takeout_series;
mod takeout_sidecars;
mod unknown_sizes;
mod user_rclone_conf;
mod words;
mod write_a_connector;

use std::fs;
use std::path::Path;

#[test]
fn every_file_here_is_run() {
    assert_run(&plakbox_tests::tools::repository().join("tests/tests"), "main");
}

/// Every file and directory beside this module must be a module of it.
fn assert_run(directory: &Path, module: &str) {
    let here = fs::read_to_string(directory.join(module).with_extension("rs")).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(name == module || here.contains(&format!("mod {name};")), "{}", path.display());
        if path.is_dir() {
            assert_run(&path, "mod");
        }
    }
}
