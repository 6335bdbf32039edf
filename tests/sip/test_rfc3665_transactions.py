"""The flows of RFC 3665, as far as transactions and dialogs carry them: who sends what, and when.

Alice and Bob are two stacks of ours on one wire. The sections are named at each test.
"""

from __future__ import annotations

from appliance.sip.dialog import Dialog, uac_dialog, uas_dialog
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Response
from tests.sip.agent import ALICE, BOB, Pair, request

AT_ALICE = ("Contact", "<sip:alice@192.0.2.1>")
AT_BOB = ("Contact", "<sip:bob@192.0.2.2>")
PROXY = ("Record-Route", "<sip:192.0.2.2;lr>")


class Phones(Pair):
    """A pair that knows how to hold a call."""

    def settle(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)

    def bob_answers(self, *statuses: int) -> None:
        """Let Bob answer each request with the next of these, headers of a dialog included."""
        waiting = list(statuses)
        self.bob.on_request = lambda tx: self.bob.answer(tx, waiting.pop(0), AT_BOB)

    def call(self) -> Response:
        """Let Alice call Bob and acknowledge his 200; the rest of it is the caller's test."""
        self.bob.on_request = self._ring_and_answer
        self.alice.ask(request("INVITE", AT_ALICE))
        self.settle()
        accepted = self.alice.answers[-1]
        assert accepted.status == 200
        self.alice_dialog = uac_dialog(self.alice.sent[0].request, accepted)
        self.acknowledge(1)
        self.settle()
        self.bob.on_request = lambda tx: None
        return accepted

    def acknowledge(self, number: int) -> None:
        ack = self.alice_dialog.ack(number)
        self.alice.transactions.send_ack(ack, self.alice.flow(BOB))

    def _ring_and_answer(self, tx: ServerTransaction) -> None:
        self.bob_dialog: Dialog = uas_dialog(tx.request, "b")
        self.bob.answer(tx, 180, AT_BOB)
        self.bob.answer(tx, 200, AT_BOB)


# -- 2: registration -----------------------------------------------------------------------------


def test_2_1_a_registration_is_challenged_and_then_accepted():
    phones = Phones("TLS")
    phones.bob_answers(401, 200)
    phones.alice.ask(request("REGISTER", AT_ALICE))
    phones.settle()
    phones.alice.ask(request("REGISTER", AT_ALICE, ("Authorization", "Digest x=1"), cseq=2))
    phones.settle()
    assert phones.ladder() == ["alice REGISTER", "bob 401", "alice REGISTER", "bob 200"]
    assert phones.open == 0


def test_2_2_to_2_4_each_further_registration_is_a_transaction_of_its_own():
    phones = Phones()
    phones.bob_answers(200, 200, 200)
    for number in (1, 2, 3):
        phones.alice.ask(request("REGISTER", AT_ALICE, cseq=number))
        phones.settle()
    assert phones.alice.statuses == [200, 200, 200] and len(phones.bob.asked) == 3
    phones.settle(33)
    assert phones.open == 0


def test_2_5_a_registration_with_wrong_credentials_ends_with_the_second_401():
    phones = Phones("TLS")
    phones.bob_answers(401, 401)
    for number in (1, 2):
        phones.alice.ask(request("REGISTER", AT_ALICE, cseq=number))
        phones.settle()
    assert phones.alice.statuses == [401, 401] and phones.open == 0


# -- 3: calls ------------------------------------------------------------------------------------


def test_3_1_a_call_is_set_up_and_ended_by_the_called_one():
    phones = Phones()
    phones.call()
    bye = phones.bob_dialog.new_request("BYE")
    phones.alice.on_request = lambda tx: phones.alice.answer(tx, 200)
    phones.bob.ask(bye, ALICE)
    phones.settle()
    assert phones.ladder() == [
        "alice INVITE",
        "bob 100",
        "bob 180",
        "bob 200",
        "alice ACK",
        "bob BYE",
        "alice 200",
    ]
    phones.alice_dialog.check_remote(bye)
    phones.settle(40)
    assert phones.open == 0 and phones.alice.failures == phones.bob.failures == []


def test_3_2_behind_a_proxy_the_ack_takes_the_recorded_route():
    phones = Phones()
    phones.bob.on_request = lambda tx: phones.bob.answer(tx, 200, AT_BOB, PROXY)
    phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle()
    dialog = uac_dialog(phones.alice.sent[0].request, phones.alice.answers[-1])
    phones.alice.transactions.send_ack(dialog.ack(1), phones.alice.flow(BOB))
    phones.settle()
    assert phones.bob.acks[0].all("Route") == ["<sip:192.0.2.2;lr>"]


def test_3_3_an_invite_that_is_challenged_is_acknowledged_and_tried_again():
    phones = Phones()
    phones.bob_answers(407, 200)
    phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle()
    phones.alice.ask(request("INVITE", AT_ALICE, ("Proxy-Authorization", "Digest x=1"), cseq=2))
    phones.settle()
    phones.alice.acknowledge(phones.alice.answers[-1])
    phones.settle()
    assert phones.ladder() == [
        "alice INVITE",
        "bob 100",
        "bob 407",
        "alice ACK",
        "alice INVITE",
        "bob 100",
        "bob 200",
        "alice ACK",
    ]
    assert phones.bob.acknowledged_failures == 1 and len(phones.bob.acks) == 1


def test_3_4_a_first_proxy_that_is_dead_is_given_up_and_a_second_one_tried():
    phones = Phones()
    asked = request("INVITE", AT_ALICE)
    phones.alice.ask(asked, ("192.0.2.99", 5060))
    phones.settle(33)
    assert phones.alice.failures == [408]
    phones.bob_answers(200)
    phones.alice.ask(asked)
    phones.settle()
    assert phones.alice.statuses == [100, 200]


def test_3_7_a_call_moves_to_another_address_with_a_second_invite():
    phones = Phones()
    phones.call()
    moved = phones.bob_dialog.new_request("INVITE", [("Contact", "<sip:bob@192.0.2.2:5070>")])
    phones.alice.on_request = lambda tx: phones.alice.answer(tx, 200, AT_ALICE)
    phones.bob.ask(moved, ALICE)
    phones.settle()
    phones.alice_dialog.check_remote(moved)
    phones.alice_dialog.refresh_target(moved)
    phones.bob.transactions.send_ack(phones.bob_dialog.ack(1), phones.bob.flow(ALICE))
    phones.settle()
    assert phones.ladder()[5:] == ["bob INVITE", "alice 100", "alice 200", "bob ACK"]
    assert phones.alice_dialog.new_request("BYE").uri == "sip:bob@192.0.2.2:5070"


def test_3_8_a_call_nobody_answers_is_cancelled():
    phones = Phones()
    phones.bob_answers(180, 200)
    tx = phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle(10)
    tx.cancel(phones.clock.now)
    phones.settle()
    phones.bob.answer(phones.bob.asked[0], 487)
    phones.settle()
    assert phones.ladder()[2:] == ["bob 180", "alice CANCEL", "bob 200", "bob 487", "alice ACK"]
    assert phones.alice.statuses == [100, 180, 487]
    phones.settle(40)
    assert phones.open == 0


def test_3_9_a_call_to_a_busy_phone():
    phones = Phones()
    phones.bob_answers(486)
    phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle()
    assert phones.ladder() == ["alice INVITE", "bob 100", "bob 486", "alice ACK"]


def test_3_10_a_call_to_a_phone_that_is_off():
    phones = Phones()
    phones.wire.detach(BOB)
    phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle(33)
    assert phones.ladder() == ["alice INVITE"] * 7 and phones.alice.failures == [408]


def test_3_11_a_call_that_rings_and_is_then_refused():
    phones = Phones()
    phones.bob_answers(180)
    phones.alice.ask(request("INVITE", AT_ALICE))
    phones.settle(5)
    phones.bob.answer(phones.bob.asked[0], 480)
    phones.settle()
    assert phones.ladder()[-3:] == ["bob 180", "bob 480", "alice ACK"]
    assert phones.alice.statuses == [100, 180, 480]
