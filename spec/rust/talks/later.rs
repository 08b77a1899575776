//! What a client says behind its hello: messages, records, new keys, alerts, certificates.
//!
//! Not here: hellos (`hellos.rs`).

use evsock::error::Code::{
    TlsAlert, TlsBadCertificate, TlsBadSignature, TlsCertRefused, TlsClientCertRequired,
    TlsNoCommon, TlsNotTls, TlsProtocol, TlsTruncated, TlsUnknownIssuer,
};

use crate::tls_kit::player::{ALERT, CCS, DATA, HANDSHAKE, HEARTBEAT, message, sized, words};
use crate::tls_kit::seal::record;
use crate::tls_kit::talk::Ends::{On, Silently, Waits, With};
use crate::tls_kit::talk::Talk;
use crate::{
    BAD_CERT, BAD_MAC, CERT_REQUIRED, DECODE, DECRYPT, ILLEGAL, NEW, NO_RENEGOTIATION, OLD,
    OVERFLOW, UNEXPECTED, UNKNOWN_CA, raw, with,
};

talks! {
    // Finished ---------------------------------------------------------------------------------
    a_finished_of_nothing: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.tell(20, &[]);
    } => With(TlsProtocol, DECRYPT);
    a_finished_with_a_byte_too_many: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        let body = [talk.player.finished(), vec![0]].concat();
        talk.player.tell(20, &body);
    } => With(TlsProtocol, DECRYPT);
    a_finished_that_lacks_its_end_in_records_of_one_byte: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        let body = talk.player.finished();
        let rest = message(20, &body);
        rest[..rest.len() - 1].iter().for_each(|byte| talk.player.say(HANDSHAKE, &[*byte]));
    } => Waits;
    // RFC 8446, 5 wants unexpected_message; rustls opens before it looks at the kind.
    a_finished_without_encryption: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        let body = talk.player.finished();
        talk.player.plainly(HANDSHAKE, &message(20, &body));
    } => With(TlsProtocol, BAD_MAC);
    a_finished_before_the_change_of_keys: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.client_key();
        talk.player.finish();
    } => With(TlsProtocol, UNEXPECTED);
    a_finished_before_the_key: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.tell(20, &[0; 12]);
    } => With(TlsProtocol, UNEXPECTED);
    a_finished_of_1_2_of_nothing: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.client_key();
        talk.player.change();
        talk.player.tell(20, &[]);
    } => With(TlsProtocol, DECRYPT);
    a_finished_of_1_2_twice: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.finish();
    } => With(TlsProtocol, UNEXPECTED);
    a_finished_of_1_3_twice: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &message(20, &[0; 32]));
    } => With(TlsProtocol, UNEXPECTED);

    // The key of a client of 1.2 -----------------------------------------------------------------
    // No alert: RFC 5246, 7.2.2 wants decode_error, and rustls has none here.
    a_key_of_nothing: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.tell(16, &[]);
    } => Silently(TlsProtocol);
    a_key_of_31_bytes: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.tell(16, &sized(1, &[9; 31]));
    } => With(TlsProtocol, ILLEGAL);
    a_key_of_zeros: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.tell(16, &sized(1, &[0; 32]));
    } => With(TlsProtocol, ILLEGAL);
    a_key_with_a_byte_too_many: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.tell(16, &[sized(1, &[9; 32]), vec![0]].concat());
    } => With(TlsProtocol, DECODE);
    a_key_twice: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.client_key();
        talk.player.tell(16, &sized(1, &[9; 32]));
    } => With(TlsProtocol, UNEXPECTED);
    a_change_of_keys_before_the_key: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.say(CCS, &[1]);
    } => With(TlsProtocol, UNEXPECTED);
    // RFC 5246 wants unexpected_message; rustls reads its content first, which is sealed.
    a_change_of_keys_twice: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.client_key();
        talk.player.change();
        talk.player.say(CCS, &[1]);
    } => With(TlsProtocol, DECODE);
    a_change_of_keys_at_the_begin: Talk::with_server, OLD, |talk| talk.player.say(CCS, &[1])
        => Silently(TlsNotTls);
    a_hello_instead_of_the_key: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        let body = talk.player.hello().of_client();
        talk.player.tell(1, &body);
    } => With(TlsProtocol, UNEXPECTED);

    // Records that change nothing: RFC 8446, 5 and D.4 -------------------------------------------
    a_dummy_change_of_keys: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.plainly(CCS, &[1]);
        talk.go_on();
    } => On;
    // No alert: RFC 8446, 6.2 recommends one, and rustls has none here.
    a_flood_of_dummy_changes_of_keys: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        (0..9).for_each(|_| talk.player.plainly(CCS, &[1]));
    } => Silently(TlsProtocol);
    a_dummy_change_of_another_kind: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.plainly(CCS, &[2]);
    } => With(TlsProtocol, UNEXPECTED);
    a_dummy_change_of_two_bytes: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.plainly(CCS, &[1, 1]);
    } => With(TlsProtocol, UNEXPECTED);
    a_dummy_change_behind_the_handshake: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.plainly(CCS, &[1]);
    } => With(TlsProtocol, UNEXPECTED);
    a_sealed_dummy_change: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.say(CCS, &[1]);
    } => With(TlsProtocol, UNEXPECTED);
    a_heartbeat_at_the_begin: Talk::with_server, NEW,
        |talk| talk.player.say(HEARTBEAT, &[1, 0xff, 0xff]) => Silently(TlsNotTls);
    // The same.
    a_heartbeat_in_the_handshake: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.plainly(HEARTBEAT, &[1, 0xff, 0xff]);
    } => With(TlsProtocol, BAD_MAC);
    // The same.
    a_sealed_heartbeat: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HEARTBEAT, &[1, 0xff, 0xff]);
    } => With(TlsProtocol, DECODE);
    // RFC 5246, 6 wants unexpected_message; to rustls a kind without a name is damage.
    a_heartbeat_of_1_2: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.say(HEARTBEAT, &[1, 0xff, 0xff]);
    } => With(TlsProtocol, DECODE);
    data_at_the_begin: Talk::with_server, NEW, |talk| talk.player.say(DATA, b"early")
        => Silently(TlsNotTls);
    data_before_the_end_of_the_handshake: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.say(DATA, b"early");
    } => With(TlsProtocol, UNEXPECTED);
    data_in_plain_text: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.plainly(DATA, b"in plain text");
    } => With(TlsProtocol, BAD_MAC);
    data_of_1_2_before_the_keys: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.say(DATA, b"early");
    } => With(TlsProtocol, UNEXPECTED);
    data_of_1_2_before_the_end_of_the_handshake: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.client_key();
        talk.player.change();
        talk.player.say(DATA, b"early");
    } => With(TlsProtocol, UNEXPECTED);
    data_of_1_2_in_plain_text: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.plainly(DATA, b"in plain text, longer than a tag is");
    } => With(TlsProtocol, BAD_MAC);
    // No alert: RFC 8446, 6.2 recommends one, and rustls has none here.
    data_between_the_parts_of_a_message: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &[24, 0, 0]);
        talk.player.say(DATA, b"between");
    } => Silently(TlsProtocol);
    // RFC 8446, 5.4 wants unexpected_message; rustls bears a few, as of any kind.
    an_empty_record_of_a_handshake: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.say(HANDSHAKE, &[]);
        talk.go_on();
    } => On;
    an_empty_record_at_the_begin: Talk::with_server, NEW, |talk| talk.player.say(HANDSHAKE, &[])
        => With(TlsProtocol, DECODE);
    // Against analysis of traffic (RFC 8446, 5.4).
    empty_data: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        (0..20).for_each(|_| talk.player.say(DATA, &[]));
    } => On;
    // No alert, and no rule for one: RFC 8446 has no bound.
    a_flood_of_empty_data: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        (0..1000).for_each(|_| talk.player.say(DATA, &[]));
    } => Silently(TlsProtocol);
    a_flood_of_empty_handshake_records: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        (0..1000).for_each(|_| talk.player.say(HANDSHAKE, &[]));
    } => Silently(TlsProtocol);
    empty_data_of_1_2: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        (0..20).for_each(|_| talk.player.say(DATA, &[]));
    } => On;
    // RFC 8446, 5.2 wants record_overflow; to rustls a header that can't be is damage.
    a_record_too_long_at_the_begin: Talk::with_server, NEW,
        |talk| raw(talk, &[HANDSHAKE, 3, 1, 0x48, 1, 1]) => With(TlsProtocol, DECODE);
    // The same, by RFC 5246, 6.2.3.
    a_record_too_long: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        raw(talk, &[DATA, 3, 3, 0x48, 1, 1]);
    } => With(TlsProtocol, DECODE);
    the_longest_record: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, &[0; 1 << 14]);
    } => On;
    the_longest_record_of_1_2: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, &[0; 1 << 14]);
    } => On;
    data_longer_than_a_record: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, &vec![0; (1 << 14) + 1]);
    } => With(TlsProtocol, OVERFLOW);
    data_of_1_2_longer_than_a_record: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, &vec![0; (1 << 14) + 1]);
    } => With(TlsProtocol, OVERFLOW);
    zeros_behind_the_content: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let bytes = talk.player.writing.as_mut().unwrap().close(DATA, b"few", 16_000);
        raw(talk, &bytes);
    } => On;
    more_zeros_than_a_record_holds: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let bytes = talk.player.writing.as_mut().unwrap().close(DATA, &[1; 16_000], 600);
        raw(talk, &bytes);
    } => With(TlsProtocol, OVERFLOW);
    // No alert: RFC 8446, 6.2 recommends one, and rustls has none here.
    zeros_alone: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let bytes = talk.player.writing.as_mut().unwrap().close_of_no_kind(100);
        raw(talk, &bytes);
    } => Silently(TlsProtocol);
    a_record_shorter_than_its_tag: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        raw(talk, &record(DATA, 0x303, &[1; 10]));
    } => With(TlsProtocol, BAD_MAC);
    a_record_of_1_2_shorter_than_its_tag: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        raw(talk, &record(DATA, 0x303, &[1; 10]));
    } => With(TlsProtocol, BAD_MAC);
    a_record_twice: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, b"again");
        let again = talk.player.out.repeat(2);
        talk.player.out = again;
    } => With(TlsProtocol, BAD_MAC);
    a_record_of_1_2_twice: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.say(DATA, b"again");
        let again = talk.player.out.repeat(2);
        talk.player.out = again;
    } => With(TlsProtocol, BAD_MAC);

    // New keys ---------------------------------------------------------------------------------
    new_keys: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.update(0);
    } => On;
    new_keys_on_both_sides: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.update(1);
    } => On;
    new_keys_with_an_unknown_wish: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.update(2);
    } => With(TlsProtocol, ILLEGAL);
    new_keys_that_are_not_used: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &message(24, &[0]));
        talk.player.say(DATA, b"with the keys of before");
    } => With(TlsProtocol, BAD_MAC);
    new_keys_with_a_message_behind_them: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &message(24, &[0]).repeat(2));
    } => With(TlsProtocol, UNEXPECTED);
    new_keys_in_the_handshake: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.say(HANDSHAKE, &message(24, &[0]));
    } => With(TlsProtocol, UNEXPECTED);
    new_keys_of_nothing: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &message(24, &[]));
    } => With(TlsProtocol, DECODE);
    new_keys_in_1_2: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        talk.player.say(HANDSHAKE, &message(24, &[0]));
    } => With(TlsProtocol, UNEXPECTED);
    // No alert, and no rule for one: RFC 8446 has no bound.
    a_flood_of_new_keys: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        (0..100).for_each(|_| talk.player.update(1));
    } => Silently(TlsProtocol);
    new_keys_in_two_records: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let whole = message(24, &[0]);
        talk.player.say(HANDSHAKE, &whole[..2]);
        talk.player.say(HANDSHAKE, &whole[2..]);
        talk.player.writing.as_mut().unwrap().go_on();
    } => On;

    // Beginning anew: RFC 5746 allows to refuse, by a warning ------------------------------------
    a_wish_to_renegotiate: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        let body = talk.player.hello().of_client();
        talk.player.say(HANDSHAKE, &message(1, &body));
        talk.pass();
        assert_eq!(talk.player.last_alert(), Some(100));
    } => On;
    // The alert is the warning after the first; the second has none of its own.
    a_wish_to_renegotiate_twice: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        let body = talk.player.hello().of_client();
        (0..2).for_each(|_| talk.player.say(HANDSHAKE, &message(1, &body)));
    } => With(TlsProtocol, NO_RENEGOTIATION);
    a_hello_behind_the_handshake_of_1_3: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let body = talk.player.hello().of_client();
        talk.player.say(HANDSHAKE, &message(1, &body));
    } => With(TlsProtocol, UNEXPECTED);
    // RFC 7507; what it guards against, the server's random tells clients as well (RFC 8446, 4.1.3).
    a_client_that_says_it_fell_back: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.suites.extend(words(&[0x5600]))) => On;

    // Alerts -----------------------------------------------------------------------------------
    an_alert_at_the_begin: Talk::with_server, NEW, |talk| talk.player.alert(2, 40)
        => Silently(TlsNoCommon);
    an_alert_of_no_bytes: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(ALERT, &[]);
    } => With(TlsProtocol, DECODE);
    an_alert_of_one_byte: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(ALERT, &[2]);
    } => With(TlsProtocol, DECODE);
    an_alert_of_three_bytes: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.say(ALERT, &[2, 40, 0]);
    } => With(TlsProtocol, DECODE);
    an_alert_of_an_unknown_level: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.alert(7, 80);
    } => With(TlsAlert, ILLEGAL);
    an_unknown_alert: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.alert(2, 211);
    } => Silently(TlsAlert);
    // RFC 8446, 5 wants unexpected_message; rustls opens before it looks at the kind.
    an_alert_in_plain_text: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.plainly(ALERT, &[2, 40]);
    } => With(TlsProtocol, BAD_MAC);
    // A client of 1.3 that can't read the server hello has no keys yet (RFC 8446, 6).
    an_alert_in_plain_text_before_there_are_keys: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.plainly(ALERT, &[2, 47]);
    } => Silently(TlsAlert);
    warnings_in_1_2: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        (0..3).for_each(|_| talk.player.alert(1, 90));
        talk.go_on();
    } => On;
    // No alert, and no rule for one: RFC 5246 has no bound.
    a_flood_of_warnings: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        (0..10).for_each(|_| talk.player.alert(1, 90));
    } => Silently(TlsProtocol);
    // The same.
    a_flood_of_warnings_behind_the_handshake: Talk::with_server, OLD, |talk| {
        talk.shake_hands();
        (0..10).for_each(|_| talk.player.alert(1, 41));
    } => Silently(TlsProtocol);
    // Whatever its level says (RFC 8446, 6); rustls tells the peer that levels are gone.
    a_warning_in_1_3_is_an_end: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        talk.player.alert(1, 41);
    } => With(TlsAlert, DECODE);
    // An end before Finished is none (RFC 8446, 6.1); rustls answers it by an alert.
    a_user_who_changed_his_mind: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.alert(1, 90);
        talk.player.alert(1, 0);
    } => With(TlsTruncated, DECODE);
    // A warning as any other for rustls; the end of the stream follows, or the deadline.
    an_end_in_the_handshake: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.alert(1, 0);
    } => Waits;
    a_refused_certificate: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.alert(2, 48);
    } => Silently(TlsCertRefused);

    // Messages of the other role -----------------------------------------------------------------
    a_server_hello: Talk::with_server, NEW, |talk| {
        let body = talk.player.answer().of_server();
        talk.player.tell(2, &body);
    } => With(TlsProtocol, UNEXPECTED);
    a_server_hello_in_the_handshake: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        let body = talk.player.answer().of_server();
        talk.player.tell(2, &body);
    } => With(TlsProtocol, UNEXPECTED);
    a_ticket_from_a_client: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let body = [&[0; 8][..], &[1, 1], &sized(2, &[1; 16]), &[0, 0]].concat();
        talk.player.say(HANDSHAKE, &message(4, &body));
    } => With(TlsProtocol, UNEXPECTED);
    a_request_for_a_certificate_from_a_client: Talk::with_server, NEW, |talk| {
        talk.shake_hands();
        let body = [sized(1, &[1]), sized(2, &[])].concat();
        talk.player.say(HANDSHAKE, &message(13, &body));
    } => With(TlsProtocol, UNEXPECTED);
    a_request_for_a_hello_from_a_client: Talk::with_server, OLD,
        |talk| talk.player.tell(0, &[]) => With(TlsProtocol, UNEXPECTED);
    an_unknown_message: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.tell(77, b"unknown");
    } => With(TlsProtocol, UNEXPECTED);

    // Certificates of clients --------------------------------------------------------------------
    a_certificate_of_a_client: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
        talk.player.verify(&talk.key);
        talk.go_on();
    } => On;
    a_certificate_among_a_hundred: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        let chain = vec![talk.chain[0].clone(); 100];
        talk.player.certificate(&chain);
        talk.player.verify(&talk.key);
        talk.go_on();
    } => On;
    a_certificate_that_nobody_asked_for: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
    } => With(TlsProtocol, UNEXPECTED);
    a_certificate_of_1_2_that_nobody_asked_for: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
    } => With(TlsProtocol, UNEXPECTED);
    no_certificate_message: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.go_on();
    } => With(TlsProtocol, UNEXPECTED);
    no_certificate_message_in_1_2: Talk::with_strict_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.go_on();
    } => With(TlsProtocol, UNEXPECTED);
    no_certificate: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&[]);
        talk.go_on();
    } => With(TlsClientCertRequired, CERT_REQUIRED);
    // RFC 5246, 7.4.6 has handshake_failure for that; rustls says it in the words of 1.3.
    no_certificate_in_1_2: Talk::with_strict_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&[]);
        talk.go_on();
    } => With(TlsClientCertRequired, CERT_REQUIRED);
    a_certificate_without_a_proof: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
        talk.go_on();
    } => With(TlsProtocol, UNEXPECTED);
    a_proof_before_the_certificate: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.verify(&talk.key);
    } => With(TlsProtocol, UNEXPECTED);
    a_proof_of_something_else: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        let early = talk.player.signed(&talk.key);
        talk.player.certificate(&talk.chain);
        talk.player.tell(15, &early);
    } => With(TlsBadSignature, DECRYPT);
    a_proof_of_something_else_in_1_2: Talk::with_strict_server, OLD, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
        let early = talk.player.signed(&talk.key);
        talk.player.client_key();
        talk.player.tell(15, &early);
    } => With(TlsBadSignature, DECRYPT);
    a_proof_of_a_kind_that_was_not_offered: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&talk.chain);
        let mut body = talk.player.signed(&talk.key);
        body[..2].copy_from_slice(&[2, 3]);
        talk.player.tell(15, &body);
    } => With(TlsProtocol, ILLEGAL);
    a_certificate_of_garbage: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        talk.player.certificate(&[b"garbage".to_vec()]);
        talk.player.verify(&talk.key);
    } => With(TlsBadCertificate, BAD_CERT);
    a_certificate_of_a_stranger: Talk::with_strict_server, NEW, |talk| {
        let other = Talk::with_stranger();
        talk.hello(|_| ());
        talk.player.certificate(&other.chain);
        talk.player.verify(&other.key);
    } => With(TlsUnknownIssuer, UNKNOWN_CA);
    a_list_of_certificates_that_lies: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        let mut body = talk.player.certificates(&talk.chain);
        body[3] ^= 0x7f;
        talk.player.tell(11, &body);
    } => With(TlsProtocol, DECODE);
    // No alert: RFC 8446, 6.2 recommends one, and rustls has none here.
    a_certificate_message_of_1_mib: Talk::with_strict_server, NEW, |talk| {
        talk.hello(|_| ());
        let chain = vec![vec![0x30; 1 << 16]; 16];
        talk.player.certificate(&chain);
    } => Silently(TlsProtocol);
    a_certificate_in_records_of_one_byte: Talk::with_strict_server, OLD, |talk| {
        talk.hello(|_| ());
        let body = talk.player.certificates(&talk.chain);
        talk.player.tell_in(1, 11, &body);
        talk.player.client_key();
        talk.player.verify(&talk.key);
        talk.player.change();
        talk.player.finish();
    } => On;
}
