"""A real DNS server on 127.0.0.1 that knows what a test tells it."""

from __future__ import annotations

import contextlib
import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class NameServer:
    """`records` maps a name to a mapping of kinds to texts: {"shop.example": {"MX": ["10 mx.shop.example."]}}. TXT
    texts are cut into strings as they have to be. A name that maps to "fail" is answered with SERVFAIL.
    """

    def __init__(self, records):
        self.records = {name.lower(): kinds for name, kinds in records.items()}
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self):
        while True:
            try:
                wire, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            if wire:
                self._socket.sendto(self._answer(dns.message.from_wire(wire)).to_wire(), peer)

    def _answer(self, query):
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        known = self.records.get(name)
        if known is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif known == "fail":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts := known.get(kind):
            if kind == "TXT":
                texts = [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text) or 1, 200)) for text in texts]
            records = [dns.rdata.from_text(dns.rdataclass.IN, question.rdtype, text) for text in texts]
            answer.answer.append(dns.rrset.from_rdata(question.name, 60, *records))
        return answer
