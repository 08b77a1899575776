//! Hellos of a client: what it says of itself and what it asks for.
//!
//! Not here: what comes behind the hello (`later.rs`).

use evsock::error::Code::{TlsNoCommon, TlsNotTls, TlsProtocol, TlsVersion};

use crate::tls_kit::player::{DATA, HANDSHAKE, ext, message, sized, words};
use crate::tls_kit::seal::record;
use crate::tls_kit::talk::Ends::{On, Silently, Waits, With};
use crate::tls_kit::talk::Talk;
use crate::{
    BAD_MAC, DECODE, FAILURE, ILLEGAL, MISSING, NEW, OLD, UNEXPECTED, VERSION, list, raw, share,
    tickets, with, with_bytes,
};

talks! {
    // Hellos of both versions ------------------------------------------------------------------
    an_honest_client_of_1_3: Talk::with_server, NEW, |talk| talk.shake_hands() => On;
    an_honest_client_of_1_2: Talk::with_server, OLD, |talk| talk.shake_hands() => On;
    a_hello_in_records_of_one_byte: Talk::with_server, NEW, |talk| {
        let body = talk.player.hello().of_client();
        talk.player.tell_in(1, 1, &body);
        talk.pass();
        talk.go_on();
    } => On;
    a_hello_of_1_2_in_records_of_two_bytes: Talk::with_server, OLD, |talk| {
        let body = talk.player.hello().of_client();
        talk.player.tell_in(2, 1, &body);
        talk.pass();
        talk.go_on();
    } => On;
    a_hello_that_lacks_its_end: Talk::with_server, NEW, |talk| {
        let body = talk.player.hello().of_client();
        let whole = message(1, &body);
        talk.player.say(HANDSHAKE, &whole[..whole.len() - 1]);
    } => Waits;
    a_hello_with_a_byte_too_many: Talk::with_server, NEW, |talk| with_bytes(talk, |body| body.push(0))
        => With(TlsProtocol, DECODE);
    a_hello_of_1_2_with_a_byte_too_many: Talk::with_server, OLD,
        |talk| with_bytes(talk, |body| body.push(0)) => With(TlsProtocol, DECODE);
    a_hello_of_nothing: Talk::with_server, NEW, |talk| talk.player.tell(1, &[])
        => With(TlsProtocol, DECODE);
    // No alert: RFC 8446, 6.2 recommends one, and rustls has none here.
    a_hello_of_16_mib: Talk::with_server, NEW,
        |talk| talk.player.say(HANDSHAKE, &[1, 0xff, 0xff, 0xff, 3, 3])
        => Silently(TlsProtocol);
    no_suites_at_all: Talk::with_server, NEW, |talk| with(talk, |hello| hello.suites.clear())
        => With(TlsProtocol, DECODE);
    half_a_suite: Talk::with_server, NEW, |talk| with(talk, |hello| hello.suites.push(0x13))
        => With(TlsProtocol, DECODE);
    suites_of_others_alone: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.suites = words(&[0xaaaa, 0x1305]))
        => With(TlsNoCommon, FAILURE);
    suites_of_cbc_and_rsa_alone: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.suites = words(&[0x2f, 0x35, 0xc009, 0xc013, 0x9c]))
        => With(TlsNoCommon, FAILURE);
    a_suite_of_1_3_in_1_2_alone: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.suites = words(&[0x1301])) => With(TlsNoCommon, FAILURE);
    suites_for_export_and_without_encryption: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.suites = words(&[0, 1, 2, 3, 0x3b, 0xc006]))
        => With(TlsNoCommon, FAILURE);
    a_thousand_unknown_suites_before_ours: Talk::with_server, NEW, |talk| with(talk, |hello| {
        let unknown: Vec<u16> = (0x5000..0x5400).collect();
        hello.suites = words(&[&unknown[..], &[0x1301]].concat());
    }) => On;
    compression_alone: Talk::with_server, NEW, |talk| with(talk, |hello| hello.compressions = vec![1])
        => With(TlsNoCommon, ILLEGAL);
    compression_alone_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.compressions = vec![1]) => With(TlsNoCommon, ILLEGAL);
    compression_beside_none: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.compressions = vec![1, 0]) => With(TlsProtocol, ILLEGAL);
    compression_beside_none_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.compressions = vec![1, 0]) => On;
    no_compressions_at_all: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.compressions.clear()) => With(TlsProtocol, DECODE);
    a_session_of_33_bytes: Talk::with_server, NEW, |talk| with(talk, |hello| hello.session = vec![0; 33])
        => With(TlsProtocol, DECODE);
    a_session_of_33_bytes_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.session = vec![0; 33]) => With(TlsProtocol, DECODE);
    a_session_that_nobody_knows: Talk::with_server, OLD, |talk| talk.shake_hands() => On;

    // Versions ---------------------------------------------------------------------------------
    ssl_3: Talk::with_server, OLD, |talk| with(talk, |hello| hello.version = 0x300)
        => With(TlsVersion, VERSION);
    tls_1_0: Talk::with_server, OLD, |talk| with(talk, |hello| hello.version = 0x301)
        => With(TlsVersion, VERSION);
    tls_1_1: Talk::with_server, OLD, |talk| with(talk, |hello| hello.version = 0x302)
        => With(TlsVersion, VERSION);
    ssl_2: Talk::with_server, OLD,
        |talk| raw(talk, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x07\x00\xc0")
        => Silently(TlsNotTls);
    a_version_of_the_future_means_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.version = 0x305) => On;
    the_old_field_of_the_version_counts_not: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.version = 0x304) => On;
    unknown_versions_before_ours: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::VERSIONS, &sized(1, &words(&[0x7a7a, 0x7f1c, 0x304])));
    }) => On;
    versions_that_are_too_old: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::VERSIONS, &sized(1, &words(&[0x302, 0x301]))))
        => With(TlsVersion, VERSION);
    drafts_alone: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::VERSIONS, &sized(1, &words(&[0x7f1c]))))
        => With(TlsVersion, VERSION);
    no_versions_in_their_list: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::VERSIONS, &[0])) => With(TlsProtocol, DECODE);
    half_a_version: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::VERSIONS, &[3, 3, 4, 3])) => With(TlsProtocol, DECODE);
    a_record_of_ssl_3_with_our_hello: Talk::with_server, NEW, |talk| {
        let whole = message(1, &talk.player.hello().of_client());
        talk.player.log.extend(&whole);
        raw(talk, &record(HANDSHAKE, 0x300, &whole));
        talk.pass();
        talk.go_on();
    } => On;
    a_record_of_version_5: Talk::with_server, NEW, |talk| {
        let whole = message(1, &talk.player.hello().of_client());
        raw(talk, &record(HANDSHAKE, 0x500, &whole));
    } => Silently(TlsNotTls);
    a_record_of_version_5_in_the_handshake: Talk::with_server, OLD, |talk| {
        talk.hello(|_| ());
        raw(talk, &record(HANDSHAKE, 0x500, &[16, 0, 0, 0]));
    } => With(TlsProtocol, DECODE);

    // Extensions -------------------------------------------------------------------------------
    unknown_extensions: Talk::with_server, NEW, |talk| with(talk, |hello| {
        for kind in 0x7000..0x70c8 {
            hello.set(kind, b"unknown");
        }
    }) => On;
    unknown_extensions_in_1_2: Talk::with_server, OLD, |talk| with(talk, |hello| {
        for kind in 0x7000..0x70c8 {
            hello.set(kind, b"unknown");
        }
    }) => On;
    an_extension_of_16_kib: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(0x7000, &[0; 1 << 14])) => On;
    an_extension_of_60_kib: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(0x7000, &vec![0; 60_000])) => On;
    extensions_in_another_order: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.extensions.reverse()) => On;
    an_extension_twice: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.extensions.push((ext::MASTER, vec![])))
        => With(TlsProtocol, ILLEGAL);
    an_extension_twice_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.extensions.push((ext::MASTER, vec![])))
        => With(TlsProtocol, ILLEGAL);
    an_extension_longer_than_all: Talk::with_server, NEW, |talk| {
        with_bytes(talk, |body| {
            let at = body.len() - 38 - 2;
            body[at] = 0xff;
        });
    } => With(TlsProtocol, DECODE);
    a_name_of_nothing: Talk::with_server, NEW, |talk| {
        with(talk, |hello| hello.set(ext::NAME, &sized(2, &[0, 0, 0])));
    } => With(TlsProtocol, DECODE);
    no_name_in_their_list: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::NAME, &[0, 0])) => With(TlsProtocol, DECODE);
    // RFC 6066, 3 forbids it and names no alert.
    two_names: Talk::with_server, NEW, |talk| {
        let name = [vec![0], sized(2, b"a.example")].concat();
        with(talk, |hello| hello.set(ext::NAME, &sized(2, &name.repeat(2))));
    } => With(TlsProtocol, DECODE);
    a_name_that_is_none: Talk::with_server, NEW, |talk| {
        let name = [vec![0], sized(2, b"a\0.example!")].concat();
        with(talk, |hello| hello.set(ext::NAME, &sized(2, &name)));
    } => With(TlsProtocol, ILLEGAL);
    // RFC 6066 forbids it to clients, and asks nothing of servers.
    an_address_for_a_name: Talk::with_server, NEW, |talk| {
        let name = [vec![0], sized(2, b"127.0.0.1")].concat();
        with(talk, |hello| hello.set(ext::NAME, &sized(2, &name)));
    } => On;
    // RFC 8446, 9.2 wants missing_extension; rustls calls it a failure, as in 1.2.
    no_groups: Talk::with_server, NEW, |talk| with(talk, |hello| hello.without(ext::GROUPS))
        => With(TlsNoCommon, FAILURE);
    // The same.
    no_shares: Talk::with_server, NEW, |talk| with(talk, |hello| hello.without(ext::SHARES))
        => With(TlsNoCommon, FAILURE);
    // The same.
    no_signatures: Talk::with_server, NEW, |talk| with(talk, |hello| hello.without(ext::SIGNATURES))
        => With(TlsNoCommon, FAILURE);
    groups_of_others_alone: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::GROUPS, &list(&[0x100, 0x19]));
        hello.set(ext::SHARES, &sized(2, &share(0x19, &[4; 133])));
    }) => With(TlsNoCommon, FAILURE);
    groups_of_others_alone_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::GROUPS, &list(&[0x100, 0x19])))
        => With(TlsNoCommon, FAILURE);
    groups_of_nothing: Talk::with_server, NEW, |talk| with(talk, |hello| hello.set(ext::GROUPS, &[0, 0]))
        => With(TlsProtocol, DECODE);
    half_a_group: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::GROUPS, &[0, 3, 0, 0x1d, 0]))
        => With(TlsProtocol, DECODE);
    two_shares_of_one_group: Talk::with_server, NEW, |talk| {
        let own = talk.player.own_share();
        with(talk, |hello| hello.set(ext::SHARES, &sized(2, &own.repeat(2))));
    } => With(TlsProtocol, ILLEGAL);
    a_share_of_31_bytes: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SHARES, &sized(2, &share(0x1d, &[1; 31]))))
        => With(TlsProtocol, ILLEGAL);
    a_share_of_zeros: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SHARES, &sized(2, &share(0x1d, &[0; 32]))))
        => With(TlsProtocol, ILLEGAL);
    a_share_that_is_no_point: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::GROUPS, &list(&[0x17]));
        hello.set(ext::SHARES, &sized(2, &share(0x17, &[4; 65])));
    }) => With(TlsProtocol, ILLEGAL);
    a_share_longer_than_its_list: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SHARES, &[0, 6, 0, 0x1d, 0, 32, 1, 1]))
        => With(TlsProtocol, DECODE);
    signatures_of_sha_1_alone: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &list(&[0x201, 0x203])))
        => With(TlsNoCommon, FAILURE);
    signatures_of_sha_1_alone_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &list(&[0x201, 0x203])))
        => With(TlsNoCommon, FAILURE);
    signatures_of_another_curve_alone: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &list(&[0x503])))
        => With(TlsNoCommon, FAILURE);
    // No alert: RFC 5246, 7.2.2 wants handshake_failure, and rustls has none here.
    signatures_of_another_curve_alone_in_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &list(&[0x503])))
        => Silently(TlsNoCommon);
    signatures_of_md5_and_nothing: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &list(&[0x101, 0x1])))
        => With(TlsNoCommon, FAILURE);
    signatures_of_nothing: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &[0, 0])) => With(TlsProtocol, DECODE);
    half_a_signature: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::SIGNATURES, &[0, 3, 4, 3, 4]))
        => With(TlsProtocol, DECODE);
    a_protocol_of_nothing: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::ALPN, &[0, 1, 0])) => With(TlsProtocol, DECODE);
    no_protocols_in_their_list: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::ALPN, &[0, 0])) => With(TlsProtocol, DECODE);
    protocols_where_the_server_has_none: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::ALPN, &sized(2, &sized(1, b"h2")))) => On;
    points_of_other_forms_alone: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::POINTS, &[1, 1])) => With(TlsNoCommon, ILLEGAL);
    // RFC 5746, 3.6 wants an end; who never renegotiates mistakes no handshake for one.
    a_renegotiation_at_the_begin: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::RENEGOTIATION, &sized(1, &[1; 12])))
        => On;
    an_unknown_ticket_of_1_2: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::TICKET, &[3; 200])) => On;
    a_request_for_the_master_secret_with_a_body: Talk::with_server, OLD,
        |talk| with(talk, |hello| hello.set(ext::MASTER, &[1])) => With(TlsProtocol, DECODE);

    // Tickets and early data -------------------------------------------------------------------
    a_ticket_that_nobody_issued: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::MODES, &[1, 1]);
        hello.set(ext::PSK, &tickets(1, 1));
    }) => On;
    three_tickets_that_nobody_issued: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::MODES, &[1, 1]);
        hello.set(ext::PSK, &tickets(3, 3));
    }) => On;
    a_ticket_before_other_extensions: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::MODES, &[1, 1]);
        hello.extensions.insert(0, (ext::PSK, tickets(1, 1)));
    }) => With(TlsProtocol, ILLEGAL);
    a_ticket_without_modes: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::PSK, &tickets(1, 1))) => With(TlsProtocol, MISSING);
    a_ticket_without_a_binder: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::MODES, &[1, 1]);
        hello.set(ext::PSK, &tickets(1, 0));
    }) => With(TlsProtocol, DECODE);
    more_binders_than_tickets: Talk::with_server, NEW, |talk| with(talk, |hello| {
        hello.set(ext::MODES, &[1, 1]);
        hello.set(ext::PSK, &tickets(1, 2));
    }) => With(TlsProtocol, ILLEGAL);
    early_data_that_nobody_can_read: Talk::with_server, NEW, |talk| {
        talk.hello(|hello| {
            hello.set(ext::MODES, &[1, 1]);
            hello.set(ext::EARLY, &[]);
            hello.set(ext::PSK, &tickets(1, 1));
        });
        raw(talk, &record(DATA, 0x303, &[0xee; 600]));
        talk.go_on();
    } => On;
    early_data_that_was_not_announced: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        raw(talk, &record(DATA, 0x303, &[0xee; 600]));
    } => With(TlsProtocol, BAD_MAC);

    // Another hello is asked for ---------------------------------------------------------------
    a_second_hello_with_a_share: Talk::with_server, NEW, |talk| {
        talk.hello(|hello| hello.set(ext::SHARES, &sized(2, &[])));
        assert!(talk.player.writing.is_none() && talk.player.told == [2]);
        with(talk, |_| ());
    } => On;
    a_second_hello_without_a_share: Talk::with_server, NEW, |talk| {
        talk.hello(|hello| hello.set(ext::SHARES, &sized(2, &[])));
        talk.hello(|hello| hello.set(ext::SHARES, &sized(2, &[])));
    } => With(TlsProtocol, ILLEGAL);
    a_second_hello_with_the_share_of_another_group: Talk::with_server, NEW, |talk| {
        talk.hello(|hello| hello.set(ext::SHARES, &sized(2, &[])));
        talk.hello(|hello| hello.set(ext::SHARES, &sized(2, &share(0x17, &[4; 65]))));
    } => With(TlsProtocol, ILLEGAL);
    a_second_hello_that_nobody_asked_for: Talk::with_server, NEW, |talk| {
        talk.hello(|_| ());
        let body = talk.player.hello().of_client();
        talk.player.say(HANDSHAKE, &message(1, &body));
    } => With(TlsProtocol, UNEXPECTED);
    a_cookie_that_nobody_issued: Talk::with_server, NEW,
        |talk| with(talk, |hello| hello.set(ext::COOKIE, &sized(2, b"cookie"))) => On;
}
