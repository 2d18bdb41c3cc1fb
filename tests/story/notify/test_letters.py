"""Letters by e-mail, through a real mail server: told once, readable, harmless, withdrawn when settled."""

from datetime import time, timedelta

import pytest

from releases.accounts import services as accounts
from releases.accounts.models import User
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.core.errors import Sentence
from releases.notify import services
from releases.notify.kinds import Digest, Sink, Topic
from releases.notify.models import Notice
from releases.notify.rules import at_choice
from releases.notify.services import Wanted, sending
from releases.operations.models import OutboxMessage
from tests.factories.accounts import SETUP, a_person, actor_of
from tests.factories.catalog import a_service
from tests.factories.notify import an_occasion, pending, states, told

pytestmark = pytest.mark.django_db

EVERYTHING = frozenset(at_choice())


def send(clock) -> int:
    return services.send_due(now=clock)


def subjects(mailbox) -> list[str]:
    return [mail["Subject"] for mail in mailbox.mails()]


def test_whoever_must_act_gets_one_letter_with_reason_evidence_and_link(mailbox, clock):
    ana = a_person("Ana Reis")
    line = Sentence("It stops %(name)s “%(title)s”.", {"name": "CHG-1042", "title": "New pricing"})

    for _twice in range(2):
        told(ana, case="change:1:x", reason=Sentence("CHG-1042 waits."), lines=(line,), link="/changes/1042")
        send(clock)

    [mail] = mailbox.mails()
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert (mail["To"], mail["X-Rcpt"], mail["From"]) == (ana.email, ana.email, "GMUD <gmud@example.com>")
    assert mail["Subject"] == "CHG-1042 waits."
    assert mail["Auto-Submitted"] == "auto-generated"
    for body in (plain, html):
        assert "It stops CHG-1042 “New pricing”." in body
        assert "https://gmud.example.com/changes/1042" in body
        assert "https://gmud.example.com/notices" in body
    assert states("change:1:x") == ["sent"]


def test_everybody_reads_their_own_language_on_their_own_clock(mailbox, clock):
    ana, bob = a_person("Ana Reis"), a_person("Bob Hill")
    User.objects.filter(person=ana).update(language="pt-br")
    services.subscribe(actor=actor_of(bob), wanted=Wanted(EVERYTHING, time_zone="Asia/Kolkata"), now=clock())
    reason = Sentence("Window: %(start)s to %(end)s", {"start": clock(), "end": clock() + timedelta(hours=1)})

    told(ana, bob, reason=reason)
    send(clock)

    by_reader = {mail["To"]: mail for mail in mailbox.mails()}
    assert "Janela" in by_reader[ana.email]["Subject"]
    assert "10:30 -03" in by_reader[ana.email]["Subject"]
    assert "Abrir no GMUD" in by_reader[ana.email].get_body(("plain",)).get_content()
    assert "19:00 IST" in by_reader[bob.email]["Subject"]
    assert by_reader[ana.email]["Content-Language"] == "pt-br"


HOSTILE = "<script>alert(1)</script>\"'&amp;<img src=x onerror=y>\r\nBcc: victim@example.com\r\n\r\n<b>\u202eevil"


def test_a_hostile_title_is_text_in_the_letter_and_adds_no_header(mailbox, clock):
    ana = a_person("Ana Reis")

    told(ana, reason=Sentence("%(name)s waits.", {"name": HOSTILE}), lines=(Sentence("%(x)s", {"x": HOSTILE}),))
    send(clock)

    [mail] = mailbox.mails()
    html = mail.get_body(("html",)).get_content()
    assert mail["X-Rcpt"] == ana.email
    assert mail["Bcc"] is None
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "<script>alert(1)</script>" in mail.get_body(("plain",)).get_content()
    assert "\u202e" not in mail.as_string()
    assert "\n" not in mail["Subject"]


def test_an_address_with_a_line_end_is_a_clear_no(mailbox, clock):
    ana = a_person("Ana Reis")
    type(ana).objects.filter(pk=ana.pk).update(email="ana@example.com\r\nBcc: victim@example.com")

    case = told(ana)
    send(clock)

    assert mailbox.mails() == []
    assert states(case) == ["failed"]


def test_what_is_settled_before_it_was_sent_is_dropped(mailbox, clock):
    ana = a_person("Ana Reis")
    case = told(ana)

    services.withdraw(case=case, now=clock())
    send(clock)

    assert mailbox.mails() == []
    assert states(case) == ["withdrawn"]


def test_who_was_asked_to_act_hears_in_the_same_thread_that_it_is_settled(mailbox, clock):
    ana, bruno = a_person("Ana Reis"), a_person("Bruno Lima")
    case = told(ana, bruno, topic=Topic.VOTE_NEEDED, case="change:7:vote_needed:1")
    send(clock)

    for _twice in range(2):
        services.withdraw(case=case, now=clock.tick(minutes=1), knowing=[bruno.pk])
        send(clock)

    first, second, third = mailbox.mails()
    assert {first["To"], second["To"]} == {ana.email, bruno.email}
    assert third["To"] == ana.email
    asked = first if first["To"] == ana.email else second
    assert third["In-Reply-To"] == asked["Message-ID"]
    assert asked["Message-ID"] in third["References"]
    assert third["References"].split()[0] == asked["References"].split()[0]
    assert third["Subject"].startswith("Settled, nothing is left to do")
    assert sorted(states(case)) == ["sent", "withdrawn", "withdrawn"]


def test_who_was_only_informed_hears_no_more_of_it(mailbox, clock):
    case = told(a_person("Ana Reis"), topic=Topic.APPROVED)
    send(clock)

    services.withdraw(case=case, now=clock())
    send(clock)

    assert len(mailbox.mails()) == 1


def test_what_is_settled_while_a_worker_has_it_in_hand_is_followed_by_word_of_that(mailbox, clock, monkeypatch):
    case = told(a_person("Ana Reis"), topic=Topic.VOTE_NEEDED)
    speak = sending._speak

    def speak_while_it_is_settled(notices, now):
        services.withdraw(case=case, now=now)
        speak(notices, now)

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_speak", speak_while_it_is_settled)
        send(clock)
    send(clock)

    assert len(mailbox.mails()) == 2
    assert states(case) == ["withdrawn", "sent"]


def test_a_vote_that_is_needed_again_is_asked_for_again_unless_it_was_already(mailbox, clock):
    ana, bruno = a_person("Ana Reis"), a_person("Bruno Lima")
    asked = an_occasion(Topic.VOTE_NEEDED)
    services.tell(occasion=asked, people=[ana.pk], now=clock())
    send(clock)
    services.tell(occasion=asked, people=[bruno.pk], now=clock())
    services.withdraw(case=asked.case, now=clock(), knowing=[ana.pk])

    services.tell(occasion=asked, people=[ana.pk, bruno.pk], now=clock.tick(minutes=1), again=True)
    send(clock)

    assert [mail["To"] for mail in mailbox.mails()] == [ana.email, bruno.email]


def test_muted_services_and_topics_left_out_stand_on_the_page_only(mailbox, clock):
    ana = a_person("Ana Reis")
    loud, muted = a_service("ledger"), a_service("contacts")
    services.subscribe(actor=actor_of(ana), wanted=Wanted(EVERYTHING - {Topic.REJECTED}), now=clock())
    services.mute(actor=actor_of(ana), service_name="contacts", now=clock())

    told(ana, reason=Sentence("muted"), services=frozenset({muted.pk}))
    told(ana, reason=Sentence("left out"), topic=Topic.REJECTED)
    told(ana, reason=Sentence("both"), services=frozenset({muted.pk, loud.pk}))
    told(ana, reason=Sentence("a page"), topic=Topic.NEEDS_HUMAN, services=frozenset({muted.pk}))
    send(clock)

    assert sorted(subjects(mailbox)) == ["a page", "both"]
    assert Notice.objects.filter(person=ana, sink=Sink.HERE).count() == 2
    services.unmute(actor=actor_of(ana), service_name="contacts", now=clock())
    told(ana, reason=Sentence("loud again"), services=frozenset({muted.pk}))
    send(clock)
    assert subjects(mailbox)[-1] == "loud again"


def test_the_night_is_quiet_and_the_morning_brings_one_letter(mailbox, clock):
    ana = a_person("Ana Reis")
    wanted = Wanted(EVERYTHING, quiet_from=time(22), quiet_until=time(7), time_zone="America/Sao_Paulo")
    services.subscribe(actor=actor_of(ana), wanted=wanted, now=clock())
    clock.tick(hours=14)  # 00:30 in São Paulo

    for number in range(3):
        told(ana, now=clock(), reason=Sentence("Thing %(n)s.", {"n": number}))
    told(ana, now=clock(), reason=Sentence("The work waits."), topic=Topic.NEEDS_HUMAN)
    send(clock)
    assert subjects(mailbox) == ["The work waits."]
    clock.tick(hours=6, minutes=29)
    send(clock)
    assert len(mailbox.mails()) == 1

    clock.tick(minutes=1)
    send(clock)

    assert subjects(mailbox)[1:] == ["3 notices"]
    digest = mailbox.mails()[1].get_body(("plain",)).get_content()
    assert all(f"Thing {number}." in digest for number in range(3))


def test_a_worker_is_called_at_the_moment_a_notice_is_due(mailbox, clock):
    ana = a_person("Ana Reis")
    services.subscribe(actor=actor_of(ana), wanted=Wanted(EVERYTHING, digest=Digest.HOUR), now=clock())

    told(ana)

    [notice] = pending(ana)
    [message] = OutboxMessage.objects.filter(kind="notice.due")
    assert (message.queue, message.available_at) == ("notify", notice.due_at)
    assert message not in OutboxMessage.objects.due(clock())
    assert message in OutboxMessage.objects.due(notice.due_at)


def test_a_thousand_events_in_a_minute_are_a_handful_of_letters(mailbox, clock):
    ana = a_person("Ana Reis")
    for _event in range(100):
        told(ana, now=clock.tick(milliseconds=600))
        send(clock)

    assert len(mailbox.mails()) == 5
    clock.tick(minutes=5)
    send(clock)
    assert len(mailbox.mails()) == 5 + 3  # 95 in letters of forty


def test_a_page_goes_before_hundreds_that_can_wait(mailbox, clock):
    for number in range(sending.LOOK_AT + 5):
        told(a_person(f"Person {number}"), now=clock())
    page = told(a_person("Davi Nunes"), topic=Topic.NEEDS_HUMAN, now=clock.tick(seconds=1))

    batch = sending._claim(clock())

    assert [notice.case for notice in batch.notices] == [page]


def test_a_server_that_is_busy_gets_it_later(mailbox, clock):
    case = told(a_person("Ana Reis"))
    mailbox.answer("451 come back later")

    send(clock)
    assert states(case) == ["pending"]
    send(clock)
    assert Notice.objects.get(case=case).attempts == 1  # it is not time yet

    mailbox.answer("")
    clock.tick(seconds=10)
    send(clock)
    assert states(case) == ["sent"]
    assert len(mailbox.mails()) == 1


@pytest.mark.parametrize("how", ["nobody listens", "451 busy", "450 no mailbox now"])
def test_after_five_tries_it_is_given_up_recorded_and_paged(mailbox, clock, settings, how):
    ana, marta = a_person("Ana Reis"), a_person("Marta Sá", Role.RELEASE_MANAGER)
    case = told(ana)
    if how == "nobody listens":
        settings.GMUD_SMTP = {**settings.GMUD_SMTP, "port": 1}
    else:
        mailbox.answer(how, to="rcpt" if "mailbox" in how else "answer")

    for _try in range(12):
        send(clock)
        clock.tick(hours=1)

    notice = Notice.objects.get(case=case)
    assert (notice.state, notice.attempts) == ("failed", 5)
    assert "notice.failed" in [entry.kind for entry in audit.story(ana.stream)]
    page = Notice.objects.get(person=marta, topic=Topic.SINK_FAILED)
    assert page.state == "failed"  # it goes by e-mail, too, and stands on the page of notices
    assert Notice.objects.filter(topic=Topic.SINK_FAILED).count() == 1


def test_a_clear_no_is_not_repeated(mailbox, clock):
    marta = a_person("Marta Sá", Role.RELEASE_MANAGER)
    ana = a_person("Ana Reis")
    case = told(ana)
    mailbox.answer(f"{ana.email} 550 no such user", to="rcpt")
    send(clock)

    assert Notice.objects.get(case=case).attempts == 1
    assert states(case) == ["failed"]
    [mail] = mailbox.mails()
    assert mail["To"] == marta.email
    assert "Ana Reis" in mail["Subject"]
    assert "550" in mail["Subject"]


def test_what_kills_every_worker_is_given_up_after_five(mailbox, clock, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(_notices, _now):
        raise Killed

    case = told(a_person("Ana Reis"))
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_speak", kill)
        for _worker in range(5):
            with pytest.raises(Killed):
                send(clock)
            clock.tick(minutes=2)
    send(clock)

    assert states(case) == ["failed"]
    assert mailbox.mails() == []


def test_an_error_nobody_foresaw_keeps_no_other_letter_back(mailbox, clock, monkeypatch):
    ana, bruno = a_person("Ana Reis"), a_person("Bruno Lima")
    cases = [told(ana), told(bruno)]
    speak = sending._speak

    def stumble(notices, now):
        if notices[0].person == ana:
            raise ZeroDivisionError
        speak(notices, now)

    monkeypatch.setattr(sending, "_speak", stumble)
    send(clock)

    assert [states(case) for case in cases] == [["pending"], ["sent"]]


def test_without_a_mail_server_everything_stands_here(clock):
    case = told(a_person("Ana Reis"))

    assert send(clock) == 0
    notice = Notice.objects.get(case=case)
    assert (notice.sink, notice.state) == ("here", "sent")


def test_who_left_hears_nothing(mailbox, clock):
    ana, bruno = a_person("Ana Reis"), a_person("Bruno Lima")
    early = told(ana)
    accounts.deactivate(actor=SETUP, person_id=ana.pk, now=clock())

    late = told(ana, bruno)
    send(clock)

    assert states(early) == ["withdrawn"]
    assert [mail["To"] for mail in mailbox.mails()] == [bruno.email]
    assert states(late) == ["sent"]


def test_a_test_reaches_whoever_asked_for_it(mailbox, clock):
    ana = a_person("Ana Reis")
    services.subscribe(
        actor=actor_of(ana), wanted=Wanted(frozenset(), quiet_from=time(0), quiet_until=time(23)), now=clock()
    )

    services.try_out(actor=actor_of(ana), now=clock())
    send(clock)

    assert subjects(mailbox) == ["This is a test: notices reach you, Ana Reis."]


def test_notices_are_forgotten_after_ninety_days(mailbox, clock):
    ana = a_person("Ana Reis")
    case = told(ana, topic=Topic.VOTE_NEEDED)
    send(clock)
    services.withdraw(case=case, now=clock())
    send(clock)
    fresh = told(ana, now=clock() + timedelta(days=60))

    services.forget(now=clock() + timedelta(days=91))

    assert list(Notice.objects.values_list("case", flat=True)) == [fresh]
