"""A real SMTP server (PyPI aiosmtpd) that fails on demand: the recipient's local part names the fault.

Prints its port, then one JSON line for each message whose text it received, read with Python's own
mail parser. Ends when its standard input ends.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import AuthResult, SMTP, LoginPassword, syntax

sys.stdout.reconfigure(encoding="utf-8")
LEFT = {"slow": 2}


def say(value):
    print(json.dumps(value, ensure_ascii=False), flush=True)


def fault(address):
    return address.partition("@")[0].strip('"').partition("+")[0]


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        answers = {"mail451": "451 4.3.0 later", "mail550": "550 5.7.1 not you", "mail530": "530 5.7.0 log in first"}
        return answers.get(fault(address), "250 2.1.0 sender ok")

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = fault(address)
        if name == "rcptclose":
            server.transport.abort()
            return "250 never heard"
        if name == "rcpthang":
            await asyncio.Event().wait()
        if name == "rcpt421":
            await server.push("421 4.3.2 going down")
            server.transport.close()
            return "250 never heard"
        if name == "slow451" and LEFT["slow"] > 0:
            LEFT["slow"] -= 1
            return "451 4.7.1 greylisted"
        answers = {
            "rcpt550": "550 5.1.1 Unknown user " + address,
            "rcpt452": "452 4.5.3 too many recipients",
            "rcpt552": "552 too many recipients",
        }
        if name not in answers:
            envelope.rcpt_tos.append(address)
        return answers.get(name, "250 2.1.5 recipient ok")

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in message.items()},
            "text": message.get_content(),
            "defects": [str(defect) for defect in message.defects],
            "ends_in_empty_line": envelope.original_content.endswith(b"\r\n\r\n"),
        })
        name = fault(envelope.rcpt_tos[0])
        if name == "dotclose":
            server.transport.abort()
        if name == "dothang":
            await asyncio.Event().wait()
        if name == "slow":
            await asyncio.sleep(0.3)
        if name == "dot421":
            await server.push("421 4.3.2 going down")
            server.transport.close()
        answers = {"dot451": "451 4.3.0 later", "dot554": "554 5.7.1 looks like spam"}
        return answers.get(name, "250 2.0.0 taken")


class Faulty(SMTP):
    @syntax("DATA")
    async def smtp_DATA(self, arg):
        name = fault(self.envelope.rcpt_tos[0]) if self.envelope.rcpt_tos else ""
        if name == "dataclose":
            self.transport.abort()
            return
        if name == "data451":
            await self.push("451 4.3.0 later")
            return
        if name == "data554":
            await self.push("554 5.5.1 no")
            return
        if name == "dataodd":
            await self.push("250 out of step")
            return
        await super().smtp_DATA(arg)


class Banner421(asyncio.Protocol):
    """A relay that turns everyone away at the door."""

    def connection_made(self, transport):
        transport.write(b"421 4.3.2 come later\r\n")
        transport.close()


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.login == b"hansho" and data.password == b"invented"
    return AuthResult(success=right, handled=False)


async def main():
    loop = asyncio.get_running_loop()

    def faulty():
        return Faulty(Handler(), authenticator=authenticate, auth_require_tls=False, enable_SMTPUTF8=False)

    def secret():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1])
        return Faulty(Handler(), tls_context=context, require_starttls=True, authenticator=authenticate)

    server = await loop.create_server(faulty, "127.0.0.1", 0)
    closed = await loop.create_server(Banner421, "127.0.0.1", 0)
    ports = {"port": server.sockets[0].getsockname()[1], "closed": closed.sockets[0].getsockname()[1]}
    if len(sys.argv) > 1:
        tls = await loop.create_server(secret, "127.0.0.1", 0)
        ports["tls"] = tls.sockets[0].getsockname()[1]
    say(ports)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
