//! What happens when nothing comes.

use hansho_model::{CallEnd, CallRef};
use jiff::Timestamp;

use super::call::{ForkState, Leg, Stage};
use super::endpoint::Endpoint;
use super::transaction::after;

/// How often the end of a call is put off for receipts that never came.
const PUT_OFF_MAX: u8 = 20;

impl Endpoint {
    pub(super) fn server_timers(&mut self, now: Timestamp) {
        let timers = self.setup.timers;
        let late = self
            .servers
            .iter()
            .filter(|(_, server)| server.deadline().is_some_and(|deadline| now >= deadline));
        let keys: Vec<String> = late.map(|(key, _server)| key.clone()).collect();
        for key in keys {
            let Some(server) = self.servers.get_mut(&key) else { continue };
            if server.is_over(now) {
                self.servers.remove(&key);
            } else if let Some(bytes) = server.due(now, &timers) {
                let hop = server.hop;
                self.send(hop, bytes);
            }
        }
    }

    pub(super) fn client_timers(&mut self, now: Timestamp) {
        let timers = self.setup.timers;
        let late = self
            .clients
            .iter()
            .filter(|(_, client)| client.deadline().is_some_and(|deadline| now >= deadline));
        let keys: Vec<String> = late.map(|(key, _client)| key.clone()).collect();
        for key in keys {
            let Some(client) = self.clients.get_mut(&key) else { continue };
            if client.is_over(now) {
                self.client_failed(now, &key, 408);
            } else if let Some(bytes) = client.due(now, &timers) {
                let hop = client.hop;
                self.send(hop, bytes);
            }
        }
    }

    pub(super) fn call_timers(&mut self, now: Timestamp) {
        let late = self
            .calls
            .iter()
            .filter(|(_, call)| call.deadline().is_some_and(|deadline| now >= deadline));
        let calls: Vec<CallRef> = late.map(|(call, _found)| call.clone()).collect();
        for call in calls {
            self.repeat_ok(now, &call);
            self.give_up_phones(now, &call);
            self.ring_again(now, &call);
            self.refresh(now, &call);
            self.end_of_patience(now, &call);
        }
    }

    fn repeat_ok(&mut self, now: Timestamp, call: &CallRef) {
        let timers = self.setup.timers;
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(ok) = &mut found.ok else { return };
        if now < ok.gives_up_at {
            if let Some(bytes) = ok.repeat.due(now, &timers, false) {
                let hop = ok.hop;
                self.send(hop, bytes);
            }
            return;
        }
        found.ok = None;
        if found.stage == Stage::Connected {
            self.end(now, call, CallEnd::Lost, Vec::new());
        } else if std::mem::take(&mut found.owes_bye) {
            self.bye(now, call, Leg::Caller);
        }
    }

    fn give_up_phones(&mut self, now: Timestamp, call: &CallRef) {
        let Some(found) = self.calls.get(call) else { return };
        let late = found.forks.iter().filter(|fork| {
            fork.state == ForkState::Ringing && fork.answer_by.is_some_and(|at| now >= at)
        });
        let late: Vec<(u64, String)> = late.map(|fork| (fork.id, fork.seat.clone())).collect();
        for (id, seat) in late {
            self.cancel_fork(now, call, id);
            self.tell_not_connected(now, call, seat, 408);
        }
    }

    fn ring_again(&mut self, now: Timestamp, call: &CallRef) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.again_at.is_some_and(|at| now >= at) {
            found.again_at = None;
            self.ring_all(now, &call.clone());
        }
    }

    fn refresh(&mut self, now: Timestamp, call: &CallRef) {
        let Some(found) = self.calls.get(call) else { return };
        if found.refresh_at.is_some_and(|at| now >= at) {
            self.ringing(now, call);
        }
    }

    fn end_of_patience(&mut self, now: Timestamp, call: &CallRef) {
        let put_off = after(now, self.setup.timers.long());
        let Some(found) = self.calls.get_mut(call) else { return };
        if now < found.until {
            return;
        }
        match found.stage {
            Stage::Offered => self.abandon(now, call, 480, Vec::new()),
            Stage::Connected => self.end(now, call, CallEnd::Lost, Vec::new()),
            Stage::Over if found.pending > 0 && found.put_off < PUT_OFF_MAX => {
                found.put_off = found.put_off.saturating_add(1);
                found.until = put_off;
            }
            Stage::Over => self.forget(call),
        }
    }

    fn forget(&mut self, call: &CallRef) {
        let Some(found) = self.calls.remove(call) else { return };
        self.servers.remove(&found.server);
        self.dialogs.retain(|_dialog, (owner, _leg)| owner != call);
        self.owed.retain(|_receipt, owed| owed.call() != call);
    }
}
