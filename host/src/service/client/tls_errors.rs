//! Why two sides that show certificates don't believe each other, in words.

use std::io;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::connector::{Failure, Reason};
use crate::service::config::Tls;

/// What an error of TLS means to a client that has these files and expects this name of the
/// service at `place`; nothing, if certificates have nothing to do with it.
pub fn explain(error: &io::Error, tls: &Tls, name: &str, place: &str) -> Option<Failure> {
    let message = match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => {
            let certificate = tls.certificate.display();
            let what = refused(*alert)?;
            format!("the service at `{place}` refuses `{certificate}`: {what}")
        }
        Error::InvalidCertificate(why) => {
            let what = untrusted(why, tls, name);
            format!("the service at `{place}` can't be believed: {what}")
        }
        _ => return None,
    };
    Some(Failure::new(Reason::Denied, message))
}

/// What a service says of our certificate (RFC 8446, section 6.2).
fn refused(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateExpired => {
            "it has expired: ask its operator for a new one, or set this machine's clock"
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "it trusts no CA that has signed it: ask its operator for one"
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            "it is no certificate of a client: ask its operator for one"
        }
        _ => return None,
    })
}

/// What is wrong with a service's certificate.
fn untrusted(why: &CertificateError, tls: &Tls, name: &str) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: ask its operator to renew it, or set this machine's clock"
                .to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("its certificate is from no CA in `{}`: correct `ca`", tls.ca.display())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate isn't of `{name}`: correct `name`")
        }
        other => format!("its certificate is wrong: {other}: ask its operator"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_nothing_to_do_with_certificates_is_left_alone() {
        let files = ["c", "k", "a"].map(std::path::PathBuf::from);
        let [certificate, key, ca] = files;
        let tls = Tls { certificate, key, ca };
        let said = |error| explain(&error, &tls, "n", "h:1").map(|failure| failure.message);
        let of_tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        assert_eq!(said(io::ErrorKind::ConnectionReset.into()), None);
        assert_eq!(said(of_tls(Error::AlertReceived(AlertDescription::InternalError))), None);
        let unknown = said(of_tls(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        assert!(unknown.unwrap().ends_with("from no CA in `a`: correct `ca`"));
    }
}
