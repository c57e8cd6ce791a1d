//! The mail catcher of the simulators, run beside a test.

use std::net::{Ipv4Addr, SocketAddr};

use hansho_simulators::mailbox::{Caught, Mailbox};
use tokio::runtime::Runtime;

/// A mail catcher with a runtime of its own; ends when dropped.
pub(crate) struct Post {
    mailbox: Option<Mailbox>,
    runtime: Option<Runtime>,
}

impl Post {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mailbox = runtime.block_on(Mailbox::start(any, any)).unwrap();
        Self { mailbox: Some(mailbox), runtime: Some(runtime) }
    }

    fn mailbox(&self) -> &Mailbox {
        self.mailbox.as_ref().unwrap()
    }

    pub(crate) fn relay(&self) -> SocketAddr {
        self.mailbox().smtp_addr()
    }

    pub(crate) fn mails(&self) -> Vec<Caught> {
        self.mailbox().mails()
    }

    /// The relay that never answers is mended.
    pub(crate) fn mend(&self) {
        self.mailbox().mend();
    }

    /// Waits until it caught that many.
    pub(crate) fn wait(&self, count: usize) -> Vec<Caught> {
        super::wait("a mail", || (self.mails().len() >= count).then(|| self.mails()))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let runtime = self.runtime.take();
        let mailbox = self.mailbox.take();
        if let Some(runtime) = runtime {
            let guard = runtime.enter();
            drop(mailbox);
            drop(guard);
            runtime.shutdown_background();
        }
    }
}

/// The path of a mail's answer link; the links name the configured address, not the kernel's.
pub(crate) fn answer_path(mail: &Caught) -> String {
    let link = mail.link.as_deref().unwrap_or_else(|| panic!("no link in {mail:?}"));
    let (_address, token) = link.split_once("/r/").unwrap();
    format!("/r/{token}")
}
