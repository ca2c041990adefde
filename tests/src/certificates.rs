//! Certificates for TLS on both sides: authorities, and what they sign.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use std::fs;
use std::path::{Path, PathBuf};

/// Whom others believe, or not.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Until when a certificate may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// Now, for a day at least.
    Now,
    /// It was, long ago.
    Formerly,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Creates an authority with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The holder of a certificate, as if it were an authority.
    pub fn of_certificate(certificate: &Path) -> Self {
        let pem = fs::read_to_string(certificate).unwrap();
        let key = fs::read_to_string(certificate.with_extension("key")).unwrap();
        let key = KeyPair::from_pem(&key).unwrap();
        let params = CertificateParams::new([]).unwrap();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes the authority's own certificate.
    pub fn write(&self, file: &Path) {
        fs::write(file, &self.pem).unwrap();
    }

    /// Writes `NAME.pem` and `NAME.key` for the owner of this host name or URI.
    pub fn sign(&self, directory: &Path, name: &str, whose: &str, valid: Valid) -> PathBuf {
        self.sign_as(directory, name, whose, |params| {
            if valid == Valid::Formerly {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
        })
    }

    /// The same, changed in some way before it is signed.
    pub fn sign_as(
        &self,
        directory: &Path,
        name: &str,
        whose: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> PathBuf {
        let mut params = CertificateParams::new([]).unwrap();
        let whose = if whose.contains("://") {
            SanType::URI(whose.try_into().unwrap())
        } else {
            SanType::DnsName(whose.try_into().unwrap())
        };
        params.subject_alt_names.push(whose);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = directory.join(format!("{name}.pem"));
        fs::write(&certificate, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(certificate.with_extension("key"), key.serialize_pem()).unwrap();
        certificate
    }
}
