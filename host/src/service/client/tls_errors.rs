//! Explains TLS errors about certificates.

use std::io;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::connector::{Failure, Reason};
use crate::service::config::Tls;

/// Explains an error of a client with the files `tls`, which expects `name` in the certificate of
/// the service at `location`. Returns `None` if the error isn't about certificates.
pub fn explain(error: &io::Error, tls: &Tls, name: &str, location: &str) -> Option<Failure> {
    let (message, help) = match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => {
            let certificate = tls.certificate.display();
            let (reason, help) = explain_alert(*alert)?;
            let what = format!("the service at `{location}` refuses `{certificate}`: {reason}");
            (what, help.to_owned())
        }
        Error::InvalidCertificate(why) => {
            let (reason, help) = explain_untrusted(why, tls, name);
            (format!("the service at `{location}` can't be trusted: {reason}"), help.to_owned())
        }
        _ => return None,
    };
    Some(Failure::new(Reason::Denied, message).with_help(help))
}

/// Explains a service's alert about the client's certificate (RFC 8446, section 6.2), and returns
/// what the user can do.
fn explain_alert(alert: AlertDescription) -> Option<(&'static str, &'static str)> {
    Some(match alert {
        AlertDescription::CertificateExpired => {
            ("it has expired", "ask its operator for a new one, or set this machine's clock")
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            ("it isn't signed by a CA that the service trusts", "ask its operator for one that is")
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            ("it isn't a valid client certificate", "ask the service's operator for one")
        }
        _ => return None,
    })
}

/// Explains what is wrong with a service's certificate, and returns what the user can do.
fn explain_untrusted(why: &CertificateError, tls: &Tls, name: &str) -> (String, &'static str) {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let help = "ask its operator to renew it, or set this machine's clock";
            ("its certificate has expired".to_owned(), help)
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let ca = tls.ca.display();
            (format!("its certificate isn't from a CA in `{ca}`"), "correct `ca`")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (format!("its certificate isn't valid for `{name}`"), "correct `name`")
        }
        other => (format!("its certificate is invalid: {other}"), "ask its operator"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_are_not_about_certificates_are_not_explained() {
        let files = ["c", "k", "a"].map(std::path::PathBuf::from);
        let [certificate, key, ca] = files;
        let tls = Tls { certificate, key, ca };
        let message = |error| explain(&error, &tls, "n", "h:1").map(|failure| failure.to_string());
        let tls_error = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        assert_eq!(message(io::ErrorKind::ConnectionReset.into()), None);
        assert_eq!(message(tls_error(Error::AlertReceived(AlertDescription::InternalError))), None);
        let unknown =
            message(tls_error(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        assert!(unknown.unwrap().ends_with("isn't from a CA in `a`; help: correct `ca`"));
    }
}
