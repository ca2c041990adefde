//! Over TCP both sides show certificates: who shows none that is believed has no session,
//! and is told why in one line.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::run;
use plakbox_tests::service::{self, HOST, Service, Tls, policy, remote_client};
use plakbox_tests::{Run, TestEnv, tools, tree};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, SanType,
    date_time_ymd,
};
use std::fs;
use std::path::PathBuf;

/// Two tenants, each with a remote of its own, which come over TCP.
struct Tenants {
    place: TestEnv,
    authority: Authority,
    service: Service,
    address: String,
}

impl Tenants {
    fn new(valid: Valid) -> Self {
        let (place, authority) = (TestEnv::new(), Authority::new());
        let mut tenants = String::new();
        for name in ["alpha", "beta"] {
            let granted = place.directory_remote(name);
            tree::file(&granted.join("a"), format!("of {name}").as_bytes(), tree::time(0));
            place.import(name);
            policy(&place, &format!("{name}.toml"), &granted, &tools::rclone());
            tenants += &format!(
                "[[tenant]]\nname = \"{name}\"\npolicy = \"{name}.toml\"\ncertificates = [\"{name}.example\"]\n"
            );
        }
        let tls = Tls { authority: &authority, valid };
        let (service, address) = Service::start_with_tls(&place, &tls, "", &tenants);
        Self { place, authority, service, address }
    }

    /// The file of a client with a certificate of `whose` by `signer`, that believes `believed`.
    fn client(
        &self,
        signer: &Authority,
        believed: &Authority,
        whose: &str,
        valid: Valid,
    ) -> PathBuf {
        let directory = self.place.path("client");
        fs::create_dir_all(&directory).unwrap();
        signer.sign(&directory, "client", whose, valid);
        believed.write(&directory.join("authority.pem"));
        remote_client(&directory, &self.address)
    }

    /// The file of a client that is as it should be.
    fn good_client(&self, whose: &str) -> PathBuf {
        self.client(&self.authority, &self.authority, whose, Valid::Now)
    }

    fn backup(&self, client: &PathBuf, source: &str) -> Run {
        let mut command = self.place.backup_command(source);
        self.place.backup_by(command.env("PLAKBOX_CONNECT", client))
    }

    /// The backup must fail at once, and say this in its one line.
    #[track_caller]
    fn refused(&self, client: &PathBuf, line: &str) {
        let run = self.backup(client, "@alpha").soon().bad(line);
        let lines = run.text.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(lines, 1, "it takes more than a line:\n{}", run.text);
    }
}

#[test]
fn a_tenant_backs_up_and_restores_by_its_certificate() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.good_client("alpha.example");
    tenants.backup(&client, "@alpha").good();
    assert_eq!(tenants.place.content("/a"), b"of alpha");
    fs::remove_file(tenants.place.path("alpha/a")).unwrap();
    run(tenants.place.restore_command("@alpha").env("PLAKBOX_CONNECT", &client)).good();
    assert_eq!(fs::read(tenants.place.path("alpha/a")).unwrap(), b"of alpha");
    let log = tenants.service.log();
    assert!(log.contains("\"tenant\":\"alpha\"") && !log.contains("\"tenant\":\"beta\""), "{log}");
}

#[test]
fn another_tenant_s_certificate_gives_the_rights_of_that_tenant_alone() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.good_client("beta.example");
    tenants.backup(&client, "@beta").good();
    tenants.backup(&client, "@alpha").soon().bad("ask the author of the policy");
}

#[test]
fn a_certificate_that_names_no_tenant_is_refused_and_noted() {
    let tenants = Tenants::new(Valid::Now);
    tenants.refused(
        &tenants.good_client("gamma.example"),
        "the certificate of `gamma.example` is not a tenant of this service; help: ask its operator",
    );
    assert!(tenants.service.log().contains("the certificate of `gamma.example` is refused"));
}

#[test]
fn a_client_s_certificate_that_has_expired_is_refused() {
    let tenants = Tenants::new(Valid::Now);
    let signer = &tenants.authority;
    let client = tenants.client(signer, signer, "alpha.example", Valid::Formerly);
    tenants.refused(&client, "client.pem`: it has expired; help: ask its operator for a new one");
    assert!(tenants.service.log().contains("is refused: the TLS handshake failed"));
}

#[test]
fn certificates_that_are_like_a_tenant_s_give_no_session() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.good_client("alpha.example");
    tenants.backup(&client, "@alpha").good();
    let directory = tenants.place.path("client");
    let sign = |whose: &str, change: &dyn Fn(&mut CertificateParams)| {
        tenants.authority.sign_as(&directory, "client", whose, change);
        tenants.backup(&client, "@alpha").soon().bad("service");
    };
    sign("other.example", &|params| {
        params.distinguished_name.push(DnType::CommonName, "alpha.example");
    });
    sign("alpha.example", &|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    sign("alpha.example", &|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    sign("alpha.example", &|params| params.not_before = date_time_ymd(2999, 1, 1));
    sign("*.example", &|_| ());
    sign("x.alpha.example", &|_| ());
    sign("other.example", &|params| {
        params.subject_alt_names = vec![SanType::Rfc822Name("alpha.example".try_into().unwrap())];
    });
    // What a tenant's certificate has signed, with that one beside it.
    let signer = tenants.authority.sign(&directory, "signer", "beta.example", Valid::Now);
    let signed = Authority::of_certificate(&signer);
    let leaf = signed.sign(&directory, "client", "alpha.example", Valid::Now);
    let chain = fs::read_to_string(&leaf).unwrap() + &fs::read_to_string(&signer).unwrap();
    fs::write(&leaf, chain).unwrap();
    tenants.backup(&client, "@alpha").soon().bad("service");
}

#[test]
fn a_client_s_certificate_of_an_unknown_authority_is_refused() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.client(&Authority::new(), &tenants.authority, "alpha.example", Valid::Now);
    tenants.refused(
        &client,
        "client.pem`: it isn't signed by a CA that the service trusts; help: ask its operator for one",
    );
}

#[test]
fn a_service_whose_certificate_has_expired_is_not_believed() {
    let tenants = Tenants::new(Valid::Formerly);
    tenants.refused(
        &tenants.good_client("alpha.example"),
        "its certificate has expired; help: ask its operator to renew it",
    );
}

#[test]
fn a_service_of_an_unknown_authority_is_not_believed() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.client(&tenants.authority, &Authority::new(), "alpha.example", Valid::Now);
    tenants.refused(&client, "its certificate isn't from a CA in");
}

#[test]
fn a_service_with_another_name_is_rejected() {
    let tenants = Tenants::new(Valid::Now);
    let client = tenants.good_client("alpha.example");
    let text = fs::read_to_string(&client).unwrap();
    fs::write(&client, text.replace(HOST, "else.example")).unwrap();
    tenants
        .refused(&client, "its certificate isn't valid for `else.example`; help: correct `name`");
}

#[test]
fn an_address_where_nothing_listens_is_named() {
    let tenants = Tenants::new(Valid::Now);
    let mut client = tenants.good_client("alpha.example");
    tenants.backup(&client, "@alpha").good();
    client = remote_client(&tenants.place.path("client"), &service::free_address());
    tenants.refused(&client, "can't be reached: ");
}

#[test]
fn a_renewed_certificate_is_shown_after_a_reload() {
    let tenants = Tenants::new(Valid::Formerly);
    let client = tenants.good_client("alpha.example");
    tenants.refused(&client, "its certificate has expired");
    let directory = service::directory(&tenants.place);
    tenants.authority.sign(&directory, "service", HOST, Valid::Now);
    tenants.service.read_again("certificates were reloaded");
    tenants.backup(&client, "@alpha").good();
    fs::write(directory.join("service.key"), "no key").unwrap();
    tenants.service.read_again("the reload failed, nothing has changed");
    tenants.backup(&client, "@alpha").good();
}
