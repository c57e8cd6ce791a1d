//! What a server's answers mean for one recipient.

use std::error::Error as _;

use hansho_outbox::Delivery;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;

/// An answer: three digits, and the RFC 3463 code when its first words are one. The text itself
/// is dropped here: it may quote the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) enhanced: Option<(u8, u16, u16)>,
}

impl Reply {
    pub(crate) fn from_response(response: &Response) -> Self {
        let code = u16::from(response.code());
        Self { code, enhanced: enhanced(code, response.first_line().unwrap_or_default()) }
    }

    /// `None` when the error is none of the server's words.
    pub(crate) fn from_error(error: &Error) -> Option<Self> {
        let code = u16::from(error.status()?);
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        Some(Self { code, enhanced: enhanced(code, &text) })
    }

    /// Whether the server closes the connection: it speaks of itself, not of the recipient.
    pub(crate) const fn is_closing(self) -> bool {
        self.code == 421
    }

    pub(crate) const fn is_positive(self) -> bool {
        matches!(self.code, 200..=299)
    }

    const fn is_soft(self) -> bool {
        matches!(self.code, 400..=499)
    }

    /// A refusal at a stage where it speaks of the session or the relay: whatever it says, the
    /// recipient is not to blame, and another time it may go.
    pub(crate) const fn blames_session(self) -> Delivery {
        Delivery::failed(self.code, true).with_enhanced(self.enhanced)
    }

    /// A refusal of MAIL: a server that wants a log-in or lost the thread speaks of the session.
    pub(crate) const fn at_mail(self) -> Delivery {
        let again = self.is_soft() || matches!(self.code, 503 | 530 | 535 | 538);
        Delivery::failed(self.code, again).with_enhanced(self.enhanced)
    }

    /// A refusal of RCPT. 552 there once meant "too many recipients", and docomo still says it so:
    /// as good as 452.
    pub(crate) const fn at_rcpt(self) -> Delivery {
        let again = self.is_soft() || matches!(self.code, 503 | 530 | 552);
        Delivery::failed(self.code, again).with_enhanced(self.enhanced)
    }

    /// A refusal of DATA.
    pub(crate) const fn at_data(self) -> Delivery {
        let again = self.is_soft() || self.code == 503;
        Delivery::failed(self.code, again).with_enhanced(self.enhanced)
    }

    /// The answer to the final dot. 421 there comes from a server, or from a relay in front of it,
    /// that goes down: nobody knows whether the message was taken before.
    pub(crate) const fn at_dot(self) -> Delivery {
        let delivery = match self.code {
            200..=299 => Delivery::done(self.code),
            421 => {
                let mut delivery = Delivery::uncertain();
                delivery.detail.code = 421;
                delivery
            }
            400..=499 => Delivery::failed(self.code, true),
            500..=599 => Delivery::failed(self.code, false),
            // "Go on" after the end makes no sense: the answers are out of step.
            _ => Delivery::uncertain(),
        };
        delivery.with_enhanced(self.enhanced)
    }
}

/// The code at the head of a reply's text, when it is of the reply's own class (RFC 2034).
fn enhanced(code: u16, text: &str) -> Option<(u8, u16, u16)> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let class: u8 = parts.next()?.parse().ok()?;
    let number = |part: &str| -> Option<u16> {
        let plain = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    let (subject, detail) = (number(parts.next()?)?, number(parts.next()?)?);
    let right =
        parts.next().is_none() && u16::from(class) == code / 100 && matches!(class, 2 | 4 | 5);
    right.then_some((class, subject, detail))
}

#[cfg(test)]
mod tests {
    use hansho_model::Outcome;

    use super::*;

    fn run(stage: fn(Reply) -> Delivery, code: u16) -> (Outcome, bool) {
        let delivery = stage(Reply { code, enhanced: None });
        assert_eq!(delivery.detail.code, if code == 354 { 0 } else { code });
        (delivery.outcome, delivery.detail.again)
    }

    #[test]
    fn what_answers_mean() {
        let (done, failed, uncertain) = (Outcome::Done, Outcome::Failed, Outcome::Uncertain);
        assert_eq!(run(Reply::at_mail, 451), (failed, true));
        assert_eq!(run(Reply::at_mail, 550), (failed, false));
        assert_eq!(run(Reply::at_mail, 530), (failed, true));
        assert_eq!(run(Reply::at_rcpt, 450), (failed, true));
        assert_eq!(run(Reply::at_rcpt, 550), (failed, false));
        assert_eq!(run(Reply::at_rcpt, 552), (failed, true));
        assert_eq!(run(Reply::at_data, 554), (failed, false));
        assert_eq!(run(Reply::at_data, 503), (failed, true));
        assert_eq!(run(Reply::at_dot, 250), (done, false));
        assert_eq!(run(Reply::at_dot, 552), (failed, false));
        assert_eq!(run(Reply::at_dot, 452), (failed, true));
        assert_eq!(run(Reply::at_dot, 421), (uncertain, false));
        assert_eq!(run(Reply::at_dot, 354), (uncertain, false));
        assert_eq!(run(Reply::blames_session, 554), (failed, true));
    }

    #[test]
    fn enhanced_codes() {
        assert_eq!(enhanced(550, "5.1.1 no such user"), Some((5, 1, 1)));
        assert_eq!(enhanced(250, "2.0.0 Ok"), Some((2, 0, 0)));
        assert_eq!(enhanced(450, "4.2.2"), Some((4, 2, 2)));
        for (code, text) in [
            (550, ""),
            (550, "Unknown user"),
            (550, "4.1.1 of another class"),
            (354, "3.0.0 no such class"),
            (550, "5.1"),
            (550, "5.1.1.1 too long"),
            (550, "5.1111.1 too long"),
            (550, "5..1"),
        ] {
            assert_eq!(enhanced(code, text), None, "{text}");
        }
    }
}
