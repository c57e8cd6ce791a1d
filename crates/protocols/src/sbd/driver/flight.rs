//! The way out: the first message of the outbox into the modem, a session, and what came of it.

use jiff::{SignedDuration, Timestamp};

use super::{
    Ask, BACK_OFF_S, Flight, LOOKS_MAX, MINUTES, Mail, Pause, Phase, REGISTRATION, SERVICE_MAX,
    Sbd, UNCERTAIN_AFTER, WINDOW_MAX_S, after, is_over,
};
use crate::sbd::answer::{Class, MoStatus, SessionAnswer};
use crate::sbd::words::{Event, Failure, Outcome, Trouble};

impl Sbd {
    pub(super) fn stands_loaded(&mut self) {
        self.loaded = self.outbox.front().map(|first| first.id);
        if let Some(status) = &mut self.status {
            status.mo = true;
        }
    }

    /// A session begins: from here on the first message may have gone, if it is loaded.
    pub(super) fn take_off(&mut self, now: Timestamp) {
        self.more = false;
        self.answers_ring = std::mem::take(&mut self.ring);
        let (Some(id), Some(status)) = (self.loaded, self.status) else { return };
        let imei = self.imei.clone();
        let momsn = status.momsn;
        self.flight = Some(Flight { id, momsn, imei, begun_at: now, answer: None });
    }

    pub(super) fn took_session(&mut self, now: Timestamp, answer: &SessionAnswer) {
        let status = answer.mo;
        if status.is_ok() {
            self.looks = 0;
            self.look_at = Some(after(now, self.setup.mailbox_check));
            self.more = answer.mt == 1 && answer.mt_queued > 0;
        } else {
            self.ring |= self.answers_ring;
        }
        if answer.mt == 1 {
            self.mail = Mail::Unread;
            self.mtmsn = answer.mtmsn;
            self.reads = 0;
        }
        if let Some(flight) = &mut self.flight {
            // Whether that is so shows the number of the next message.
            flight.answer = Some(status);
        } else if !status.is_ok() {
            self.look_failed(now, Some(status));
        }
    }

    /// Whether it took place is unknown.
    pub(super) fn no_session(&mut self, now: Timestamp) {
        self.ring |= self.answers_ring;
        if self.flight.is_none() {
            self.look_failed(now, None);
        }
        self.missed(now);
    }

    /// A session for the mailbox alone failed.
    pub(super) fn look_failed(&mut self, now: Timestamp, status: Option<MoStatus>) {
        self.alarm(status);
        let looks = usize::try_from(self.looks).unwrap_or(usize::MAX);
        self.rest(now, status, looks);
        self.looks = self.looks.saturating_add(1);
        if self.looks >= LOOKS_MAX {
            self.looks = 0;
            self.ring = false;
            self.look_at = Some(after(now, self.setup.mailbox_check));
        }
    }

    /// Decides by the number of the next message whether the last one went.
    pub(super) fn land(&mut self, now: Timestamp, flight: &Flight, momsn: u16) {
        if self.outbox.front().is_none_or(|first| first.id != flight.id) {
            return;
        }
        let moved = momsn == flight.momsn.wrapping_add(1);
        let same = momsn == flight.momsn;
        let known = flight.imei == self.imei && (moved || same);
        match flight.answer {
            _ if !known => self.end(Outcome::Uncertain),
            Some(status) if status.is_ok() == same => self.end(Outcome::Uncertain),
            _ if moved => self.end(Outcome::Done),
            answer => self.failed(now, flight.id, answer),
        }
    }

    /// It did not go, that is certain.
    pub(super) fn failed(&mut self, now: Timestamp, id: u64, status: Option<MoStatus>) {
        self.alarm(status);
        if let Some(status) = status
            && status.class().is_final()
        {
            return self.end(Outcome::Failed(Failure::Refused(status)));
        }
        self.rest(now, status, self.tries);
        self.tries = self.tries.saturating_add(1);
        let until = self.pause.map_or(now, |pause| pause.until);
        self.say(Event::Waiting { id, status, until });
    }

    pub(super) fn alarm(&mut self, status: Option<MoStatus>) {
        let Some(status) = status else { return };
        if status.is_hardware() || status.class() == Class::PermanentOperator {
            self.say(Event::Trouble(Trouble::Session(status)));
        }
    }

    /// Waits before the next session, as long as this status asks for.
    pub(super) fn rest(&mut self, now: Timestamp, status: Option<MoStatus>, tries: usize) {
        let class = status.map_or(Class::Retry, MoStatus::class);
        let (wait, hard, service) = match class {
            Class::RetryWaitService => (SERVICE_MAX, false, true),
            Class::RetryAfterRegistration => (REGISTRATION, true, false),
            Class::RetryAfterWindow => {
                self.ask_window = true;
                (MINUTES, true, false)
            }
            Class::RetryLater
            | Class::Permanent
            | Class::PermanentOperator
            | Class::PermanentHardware => (MINUTES, false, false),
            Class::Success | Class::Retry | Class::FailUnknown => {
                (self.back_off(tries), false, false)
            }
        };
        self.pause = Some(Pause { until: after(now, wait), hard, service });
    }

    /// 5 to 10 s, then 30 s, 60 s and 300 s with up to a fifth more.
    pub(super) fn back_off(&mut self, tries: usize) -> SignedDuration {
        let seconds = BACK_OFF_S.get(tries).or(BACK_OFF_S.last()).copied().unwrap_or_default();
        let ms = seconds.saturating_mul(1_000);
        let span = if tries == 0 { ms } else { ms.saturating_div(5) };
        let more = i64::from(self.next_random()).saturating_mul(span) >> u32::BITS;
        SignedDuration::from_millis(ms.saturating_add(more))
    }

    /// Marsaglia's xorshift of 64 bits; its upper half.
    pub(super) fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(self.random >> u32::BITS).unwrap_or_default()
    }

    pub(super) fn took_window(&mut self, now: Timestamp, seconds: Option<u32>) {
        self.ask_window = false;
        let Some(seconds) = seconds else { return };
        let wait = SignedDuration::from_secs(i64::from(seconds.clamp(1, WINDOW_MAX_S)));
        self.pause = Some(Pause { until: after(now, wait), hard: true, service: false });
    }

    /// The first message of the outbox is done with.
    pub(super) fn end(&mut self, outcome: Outcome) {
        let Some(first) = self.outbox.pop_front() else { return };
        self.clear_sent |= self.loaded.take().is_some();
        self.flight = None;
        self.tries = 0;
        self.say(Event::Sent(first.id, outcome));
    }

    /// Messages whose time is over, and one that nobody can be asked about any more.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        if let Some(flight) = &self.flight
            && self.phase == Phase::Closed
            && now.duration_since(flight.begun_at) >= UNCERTAIN_AFTER
        {
            self.end(Outcome::Uncertain);
        }
        if self.is_going() {
            return;
        }
        while let Some(index) = self.outbox.iter().position(|each| is_over(each, now)) {
            let Some(over) = self.outbox.remove(index) else { return };
            if self.loaded == Some(over.id) {
                self.loaded = None;
                self.clear_sent = true;
            }
            if index == 0 {
                self.tries = 0;
            }
            self.say(Event::Sent(over.id, Outcome::Failed(Failure::Expired)));
        }
    }

    /// Whether the first message is on its way into the modem or beyond.
    pub(super) const fn is_going(&self) -> bool {
        self.flight.is_some() || matches!(self.ask, Some(Ask::Load | Ask::Data))
    }
}
