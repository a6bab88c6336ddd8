/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMMUv3 with Address Translation Services
 *
 * Judged against the Arm SMMU architecture, IHI 0070, whose section numbers
 * these are; against PCIe r6.0 where that is named; and against
 * docs/specs/ats-exerciser.rst for what they leave to the implementation.
 */
#include "qemu/osdep.h"
#include "ats-smmuv3.h"

#define PATTERN                 0x0123456789abcdefULL
#define TIMEOUT                 (100 * ATS_MS)

/* Page 1 is in the ATC of @fn afterwards */
static void fill(ATSSMMU *s, unsigned fn)
{
    g_assert_cmpuint(ats_translate(&s->t, fn, 1), ==, ATSX_RESULT_OK);
    g_assert_true(ats_cached(&s->t, fn, 1));
}

/* The CMD_SYNC waits: it and what is behind it are not consumed, no error */
static void assert_waiting(ATSSMMU *s, unsigned left)
{
    ats_settle(&s->t);
    g_assert_cmpuint(smmu_left(s), ==, left);
    g_assert_cmpuint(smmu_error(s), ==, SMMU_CERROR_NONE);
}

/* It failed: 7.1, CONS.RD at the CMD_SYNC */
static void assert_failed(ATSSMMU *s, unsigned left)
{
    ats_settle(&s->t);
    g_assert_cmpuint(smmu_error(s), ==, SMMU_CERROR_ATC_INV);
    g_assert_cmpuint(smmu_left(s), ==, left);
}

static void assert_done(ATSSMMU *s)
{
    ats_wait(&s->t, !smmu_left(s));
    g_assert_cmpuint(smmu_error(s), ==, SMMU_CERROR_NONE);
}

/* Nothing but the time-out to the nanosecond */
static void assert_times_out(ATSSMMU *s, int64_t ns, unsigned left)
{
    ats_step(&s->t, ns - 1);
    assert_waiting(s, left);
    ats_step(&s->t, 1);
    assert_failed(s, left);
}

static void assert_event(ATSSMMU *s, unsigned type, unsigned fn, uint64_t addr)
{
    uint64_t evt[4];

    g_assert_true(smmu_event(s, evt));
    g_assert_cmphex(evt[0] & 0xff, ==, type);
    g_assert_cmphex(evt[0] >> 32, ==, ATS_SID(fn));
    if (type != SMMU_EVT_C_BAD_STE) {
        g_assert_cmphex(evt[2], ==, addr);
    }
}

static void assert_no_event(ATSSMMU *s)
{
    uint64_t evt[4];

    g_assert_false(smmu_event(s, evt));
}

static void test_off(void)
{
    ATSSMMU s;

    smmu_start(&s, "", "");
    g_assert_cmphex(smmu_readl(&s, SMMU_IDR0) & (SMMU_IDR0_ATS | SMMU_IDR0_MSI),
                    ==, 0);
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_REJECTED);

    /* 4.5.1: illegal without IDR0.ATS, and CONS stays at it */
    smmu_atc_inv(&s, 1, 0, SMMU_ATC_INV_ALL);
    smmu_go(&s);
    g_assert_cmpuint(smmu_error(&s), ==, SMMU_CERROR_ILL);
    g_assert_cmpuint(smmu_left(&s), ==, 1);
    ats_stop(&s.t);
}

/* 3.9.1.2, 3.9.1.3: STE.EATS at the time of the access */
static void test_eats(void)
{
    uint64_t tdma;
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    g_assert_cmphex(smmu_readl(&s, SMMU_IDR0) & SMMU_IDR0_ATS, !=, 0);
    fill(&s, 1);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN), ==,
                     ATSX_RESULT_OK);
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, PATTERN);

    /* The STE may be cached, and is, until CMD_CFGI_STE: 3.21 */
    smmu_ste(&s, 1, true, SMMU_STE_S1, 0);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_OK);
    assert_no_event(&s);

    smmu_cfgi(&s, 1);
    tdma = ats_host(&s.t, 1, "tdma-rejected");
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_BAD_ATS_TREQ, 1, ATS_IOVA_OF(3));
    g_assert_false(ats_cached(&s.t, 1, 3));
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 2), ==,
                     ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_TRANSL_FORBIDDEN, 1, ats_data(&s.t, 1));
    assert_no_event(&s);
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "tdma-rejected"), ==, tdma + 1);

    /* Another function is not concerned, nor is untranslated DMA */
    fill(&s, 2);
    ats_writeq(&s.t, 1, ATSX_DMA_PATTERN, 3);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_WRITE, 0, ATS_IOVA_OF(1), 8),
                     ==, ATSX_RESULT_OK);

    smmu_ste(&s, 1, true, SMMU_STE_S1, 1);
    smmu_cfgi(&s, 1);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 4), ==, ATSX_RESULT_OK);
    assert_no_event(&s);
    ats_stop(&s.t);
}

/* CR0.ATSCHK = 0: Translated transactions are not looked at, 3.9.1.3 */
static void test_atschk(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    smmu_ste(&s, 1, true, SMMU_STE_S1, 0);
    smmu_cfgi(&s, 1);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL & ~SMMU_CR0_ATSCHK);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN), ==,
                     ATSX_RESULT_OK);
    assert_no_event(&s);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_BAD_ATS_TREQ, 1, ATS_IOVA_OF(2));

    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN), ==,
                     ATSX_RESULT_REJECTED);
    ats_stop(&s.t);
}

/* STE.Config, STE.V and SMMUEN */
static void test_config(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);

    /* Abort: silently */
    smmu_ste(&s, 1, true, SMMU_STE_ABORT, 1);
    smmu_cfgi(&s, 1);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_REJECTED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_REJECTED);
    assert_no_event(&s);

    /* Bypass: EATS counts as 0 */
    smmu_ste(&s, 1, true, SMMU_STE_BYPASS, 1);
    smmu_cfgi(&s, 1);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_BAD_ATS_TREQ, 1, ATS_IOVA_OF(2));
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_TRANSL_FORBIDDEN, 1, ats_data(&s.t, 1));

    /* No STE: with ATSRECERR = 0 the Translation Request leaves no record */
    smmu_ste(&s, 1, false, SMMU_STE_S1, 1);
    smmu_cfgi(&s, 1);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_REJECTED);
    assert_no_event(&s);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_C_BAD_STE, 1, 0);

    smmu_ste(&s, 1, true, SMMU_STE_S1, 1);
    smmu_cfgi(&s, 1);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==, ATSX_RESULT_OK);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL & ~SMMU_CR0_SMMUEN);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_REJECTED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_REJECTED);
    assert_no_event(&s);
    ats_stop(&s.t);
}

/* PCIe 10.2.3: permissions, and an answer for what is not mapped */
static void test_translate(void)
{
    unsigned last = ATS_PAGES - 1;
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    g_assert_cmpuint(ats_translate(&s.t, 1, last), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, last, 1), ==,
                     ATSX_RESULT_NO_ENTRY);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_READ, ATSX_DMA_TRANSLATED,
                                 ATS_IOVA_OF(last), 8), ==, ATSX_RESULT_OK);

    /* Not mapped: R = W = 0, which is not cached and not an event (10.2.3.5) */
    g_assert_cmpuint(ats_translate(&s.t, 1, ATS_PAGES), ==,
                     ATSX_RESULT_REJECTED);
    g_assert_false(ats_cached(&s.t, 1, ATS_PAGES));
    assert_no_event(&s);
    ats_stop(&s.t);
}

/* 4.5.1: address and size */
static void test_atc_inv(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    for (unsigned fn = 0; fn <= 1; fn++) {
        g_assert_cmpuint(ats_command(&s.t, fn, ATSX_CMD_TRANSLATE, 0, ATS_IOVA,
                                     ATS_PAGES * ATS_PAGE), ==, ATSX_RESULT_OK);
        g_assert_cmpuint(ats_host(&s.t, fn, "atc-entries"), ==, ATS_PAGES);
    }

    /* One page */
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_true(ats_cached(&s.t, 1, 0));
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_true(ats_cached(&s.t, 1, 2));

    /* Four pages, aligned: 4 to 7 */
    smmu_atc_inv(&s, 1, ATS_IOVA_OF(4), 2);
    smmu_sync(&s);
    smmu_go(&s);
    assert_done(&s);
    g_assert_true(ats_cached(&s.t, 1, 3));
    for (unsigned page = 4; page < 8; page++) {
        g_assert_false(ats_cached(&s.t, 1, page));
    }
    g_assert_true(ats_cached(&s.t, 1, 8));

    /* Everything */
    smmu_atc_inv(&s, 1, 0, SMMU_ATC_INV_ALL);
    smmu_sync(&s);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 3);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 3);

    /* The other function got none */
    g_assert_cmpuint(ats_host(&s.t, 0, "atc-entries"), ==, ATS_PAGES);
    g_assert_cmpuint(ats_host(&s.t, 0, "inv-received"), ==, 0);
    ats_stop(&s.t);
}

/*
 * 4.7.3, 7.1: a CMD_SYNC fails when a CMD_ATC_INV before it times out, nothing
 * behind it runs, and the acknowledgement lets it run again.
 */
static void test_timeout(void)
{
    ATSSMMU s;
    uint32_t gerror;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    gerror = smmu_readl(&s, SMMU_GERROR);
    smmu_invalidate(&s, 1, 1);
    smmu_invalidate(&s, 2, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-dropped"), ==, 1);
    assert_times_out(&s, TIMEOUT, 3);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR), ==, gerror ^ SMMU_GERROR_CMDQ);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 0);
    g_assert_true(ats_cached(&s.t, 1, 1));

    /* An error that is not acknowledged stops the queue for good */
    smmu_go(&s);
    ats_step(&s.t, 10 * TIMEOUT);
    assert_failed(&s, 3);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR), ==, gerror ^ SMMU_GERROR_CMDQ);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 0);

    smmu_acknowledge(&s);
    assert_done(&s);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 1);
    ats_stop(&s.t);
}

static void test_timeout_repeats(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on "
               "-global arm-smmuv3.atc-timeout-repeats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 250);
    smmu_invalidate(&s, 1, 1);
    smmu_invalidate(&s, 2, 1);
    for (int i = 0; i < 2; i++) {
        assert_times_out(&s, TIMEOUT, 3);
        smmu_acknowledge(&s);
        assert_waiting(&s, 3);
    }
    /* 250 ms are over: the third time the CMD_SYNC finds nothing outstanding */
    ats_step(&s.t, 50 * ATS_MS - 1);
    assert_waiting(&s, 3);
    ats_step(&s.t, 1);
    assert_done(&s);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 1);
    ats_stop(&s.t);
}

/* Writes to PROD or GERRORN do not put the time-out off */
static void test_timeout_undisturbed(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 1);
    ats_step(&s.t, 60 * ATS_MS);
    smmu_sync(&s);
    smmu_go(&s);
    smmu_acknowledge(&s);
    assert_times_out(&s, 40 * ATS_MS, 2);
    ats_stop(&s.t);
}

static void test_timeout_property(gconstpointer data)
{
    unsigned ms = GPOINTER_TO_UINT(data);
    g_autofree char *args = g_strdup_printf("-global arm-smmuv3.ats=on "
        "-global arm-smmuv3.atc-timeout=%u", ms);
    ATSSMMU s;

    smmu_start(&s, args, "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 100000);
    smmu_invalidate(&s, 1, 1);
    if (ms) {
        assert_times_out(&s, ms * ATS_MS, 1);
    } else {
        ats_step(&s.t, 100000 * ATS_MS - 1);
        assert_waiting(&s, 1);
        ats_step(&s.t, 1);
        assert_done(&s);
    }
    ats_stop(&s.t);
}

/* An answer in time: the queue goes on there and then */
static void test_answer_in_time(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 99);
    smmu_invalidate(&s, 1, 1);
    smmu_invalidate(&s, 2, 1);
    ats_step(&s.t, 99 * ATS_MS - 1);
    assert_waiting(&s, 3);
    g_assert_true(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 0);
    ats_step(&s.t, 1);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 1);

    /* Its time-out died with it */
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_cmpuint(smmu_error(&s), ==, SMMU_CERROR_NONE);
    ats_stop(&s.t);
}

/* An answer after the SMMU gave up does nothing but empty the ATC */
static void test_answer_late(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 150);
    smmu_invalidate(&s, 1, 1);
    assert_times_out(&s, TIMEOUT, 1);
    smmu_acknowledge(&s);
    assert_done(&s);

    /* The next CMD_SYNC waits for its own CMD_ATC_INV, not for this answer */
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 2);
    ats_step(&s.t, 50 * ATS_MS);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 1);
    g_assert_false(ats_cached(&s.t, 1, 1));
    assert_waiting(&s, 1);
    assert_times_out(&s, 50 * ATS_MS, 1);
    smmu_acknowledge(&s);
    assert_done(&s);
    ats_stop(&s.t);
}

/* The answer comes while the error is there: only the acknowledgement counts */
static void test_answer_during_error(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on "
               "-global arm-smmuv3.atc-timeout-repeats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 150);
    smmu_invalidate(&s, 1, 1);
    smmu_invalidate(&s, 2, 1);
    assert_times_out(&s, TIMEOUT, 3);
    ats_step(&s.t, 100 * ATS_MS);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 1);
    assert_failed(&s, 3);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 0);
    smmu_acknowledge(&s);
    assert_done(&s);
    ats_stop(&s.t);
}

/* One CMD_SYNC for CMD_ATC_INVs to several functions waits for all of them */
static void test_batch(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_policy(&s.t, 2, ATSX_INV_DELAY, 50);
    ats_policy(&s.t, 3, ATSX_INV_DELAY, 70);
    for (unsigned fn = 1; fn <= 3; fn++) {
        fill(&s, fn);
        smmu_atc_inv(&s, fn, ATS_IOVA_OF(1), 0);
    }
    smmu_sync(&s);
    smmu_go(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    ats_step(&s.t, 70 * ATS_MS - 1);
    g_assert_false(ats_cached(&s.t, 2, 1));
    assert_waiting(&s, 1);
    ats_step(&s.t, 1);
    assert_done(&s);

    /* The first one is deaf, and two of them are */
    for (unsigned deaf = 1; deaf <= 2; deaf++) {
        ats_policy(&s.t, deaf, ATSX_INV_DROP, 0);
        for (unsigned fn = 1; fn <= 3; fn++) {
            smmu_atc_inv(&s, fn, ATS_IOVA_OF(1), 0);
        }
        smmu_sync(&s);
        smmu_go(&s);
        assert_times_out(&s, TIMEOUT, 1);
        g_assert_cmpuint(ats_host(&s.t, 3, "inv-answered"), ==, 1 + deaf);
        smmu_acknowledge(&s);
        assert_done(&s);
    }
    ats_stop(&s.t);
}

/* Two CPUs have queued a CMD_SYNC each */
static void test_two_syncs(void)
{
    ATSSMMU s;

    /* The deaf one's fails; the other one has waited and then completes */
    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 2);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 1);
    smmu_atc_inv(&s, 2, ATS_IOVA_OF(1), 0);
    smmu_sync(&s);
    smmu_go(&s);
    g_assert_true(ats_cached(&s.t, 2, 1));
    assert_times_out(&s, TIMEOUT, 3);
    smmu_acknowledge(&s);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 2, 1));

    /* Each has a time-out of its own: the second one's begins when it runs */
    ats_policy(&s.t, 2, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 1);
    smmu_invalidate(&s, 2, 1);
    assert_times_out(&s, TIMEOUT, 3);
    ats_step(&s.t, 30 * ATS_MS);
    smmu_acknowledge(&s);
    assert_waiting(&s, 1);
    assert_times_out(&s, TIMEOUT, 1);
    smmu_acknowledge(&s);
    assert_done(&s);

    /* Both CMD_ATC_INVs before both CMD_SYNCs: they are outstanding once */
    smmu_atc_inv(&s, 1, ATS_IOVA_OF(1), 0);
    smmu_atc_inv(&s, 2, ATS_IOVA_OF(1), 0);
    smmu_sync(&s);
    smmu_sync(&s);
    smmu_go(&s);
    assert_times_out(&s, TIMEOUT, 2);
    smmu_acknowledge(&s);
    assert_done(&s);
    ats_stop(&s.t);
}

/* Without a CMD_SYNC nobody waits; one that comes later waits from then on */
static void test_late_sync(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_atc_inv(&s, 1, ATS_IOVA_OF(1), 0);
    smmu_go(&s);
    ats_step(&s.t, 2 * TIMEOUT);
    assert_waiting(&s, 0);
    smmu_sync(&s);
    smmu_go(&s);
    assert_times_out(&s, TIMEOUT, 1);
    ats_stop(&s.t);
}

/* 6.3.9: CMDQEN is cleared while a CMD_SYNC waits */
static void test_cmdqen(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 260);
    smmu_invalidate(&s, 1, 1);
    ats_step(&s.t, 60 * ATS_MS);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL & ~SMMU_CR0_CMDQEN);
    ats_step(&s.t, 100 * ATS_MS);
    assert_waiting(&s, 1);

    /* The CMD_SYNC runs again, is not complete, and has all of its time */
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL);
    ats_step(&s.t, 100 * ATS_MS - 1);
    assert_waiting(&s, 1);
    /* 260 ms and 100 ms of waiting end together: the answer was first */
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL & ~SMMU_CR0_CMDQEN);
    ats_step(&s.t, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 1);
    assert_waiting(&s, 1);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL);
    assert_done(&s);

    /* And nothing of a time-out that was stopped is left for the next one */
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 1);
    ats_step(&s.t, 60 * ATS_MS);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL & ~SMMU_CR0_CMDQEN);
    smmu_writel(&s, SMMU_CR0, SMMU_CR0_ALL);
    assert_times_out(&s, TIMEOUT, 1);
    ats_stop(&s.t);
}

/* The policy that counts is the one there is when the request arrives */
static void test_policy_in_flight(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_invalidate(&s, 1, 1);
    ats_policy(&s.t, 1, ATSX_INV_ANSWER, 0);
    smmu_invalidate(&s, 1, 1);
    assert_times_out(&s, TIMEOUT, 3);
    smmu_acknowledge(&s);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-dropped"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 1);

    /* A request that was put off keeps its time whatever comes after it */
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 40);
    smmu_invalidate(&s, 1, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_step(&s.t, 40 * ATS_MS - 1);
    assert_waiting(&s, 1);
    ats_step(&s.t, 1);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    ats_stop(&s.t);
}

static void test_drop_n(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP_N, 2);
    for (int i = 0; i < 2; i++) {
        smmu_invalidate(&s, 1, 1);
        assert_times_out(&s, TIMEOUT, 1);
        smmu_acknowledge(&s);
        assert_done(&s);
    }
    g_assert_true(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_ANSWER);
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    ats_stop(&s.t);
}

/* Answers that leave the ATC as it is; UR is an answer (4.5.1) */
static void test_lie_and_ur(void)
{
    static const uint32_t policies[] = { ATSX_INV_LIE, ATSX_INV_UR };
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
        ats_policy(&s.t, 1, policies[i], 0);
        smmu_invalidate(&s, 1, 1);
        assert_done(&s);
        g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, i + 1);
        g_assert_true(ats_cached(&s.t, 1, 1));
        g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN + i), ==,
                         ATSX_RESULT_OK);
        g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==,
                        PATTERN + i);
    }
    ats_stop(&s.t);
}

/* What a function does with a request while ATS Enable is clear */
static void test_policy_disabled(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    fill(&s, 1);
    /* This one has no say then */
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_enable(&s.t, 1, false);

    ats_host_set(&s.t, 1, "inv-policy-disabled", ATSX_INV_DISABLED_UR);
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_true(ats_cached(&s.t, 1, 1));

    ats_host_set(&s.t, 1, "inv-policy-disabled", ATSX_INV_DISABLED_IGNORE);
    smmu_invalidate(&s, 1, 1);
    assert_times_out(&s, TIMEOUT, 1);
    smmu_acknowledge(&s);
    assert_done(&s);
    g_assert_true(ats_cached(&s.t, 1, 1));

    ats_host_set(&s.t, 1, "inv-policy-disabled", ATSX_INV_DISABLED_ANSWER);
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-disabled"), ==, 3);
    ats_stop(&s.t);
}

/* The counter that tells whether a fenced function was still written to */
static void test_inv_fenced(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-fenced"), ==, 0);
    smmu_ste(&s, 1, true, SMMU_STE_S1, 0);
    smmu_cfgi(&s, 1);
    smmu_invalidate(&s, 1, 1);
    assert_done(&s);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-fenced"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 2);
    /* Looking is not asking */
    assert_no_event(&s);
    ats_stop(&s.t);
}

/* A function that is not there, and one that never was */
static void test_absent(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_enable_vfs(&s.t, false);
    smmu_invalidate(&s, 1, 1);
    assert_times_out(&s, TIMEOUT, 1);
    smmu_acknowledge(&s);
    assert_done(&s);
    smmu_invalidate(&s, 0x40, 1);
    assert_done(&s);
    ats_stop(&s.t);
}

/* 4.7.3: the MSI of a CMD_SYNC is written when it completes, and only then */
static void test_msi(void)
{
    ATSSMMU s;
    uint64_t word;

    smmu_start(&s, "-global arm-smmuv3.ats=on -global arm-smmuv3.msi=on", "");
    word = ats_ram(&s.t, 0x200000);
    g_assert_cmphex(smmu_readl(&s, SMMU_IDR0) & SMMU_IDR0_MSI, !=, 0);

    /* Nothing to wait for; 32 bits and no more */
    qtest_writeq(s.t.qts, word, UINT64_MAX);
    smmu_sync_msi(&s, word, 0x12345678);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmphex(qtest_readq(s.t.qts, word), ==, 0xffffffff12345678ULL);

    /* In time: with the answer */
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 10);
    smmu_atc_inv(&s, 1, ATS_IOVA_OF(1), 0);
    smmu_sync_msi(&s, word, 1);
    smmu_go(&s);
    ats_step(&s.t, 10 * ATS_MS - 1);
    assert_waiting(&s, 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0x12345678);
    ats_step(&s.t, 1);
    assert_done(&s);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 1);

    /* Too late: not with the error, but with the repetition */
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    smmu_atc_inv(&s, 1, ATS_IOVA_OF(1), 0);
    smmu_sync_msi(&s, word, 2);
    smmu_go(&s);
    assert_times_out(&s, TIMEOUT, 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 1);
    smmu_acknowledge(&s);
    assert_done(&s);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 2);

    /* CS = SIG_NONE: the address is of no interest */
    smmu_cmd(&s, 3ULL << 32 | SMMU_SYNC_NONE << 12 | 0x46, word);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 2);

    /* Without an address there is no write, and no write that fails */
    smmu_sync_msi(&s, 0, 4);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR) ^ smmu_readl(&s, SMMU_GERRORN),
                    ==, 0);

    /* An address where nothing is: GERROR.MSI_CMDQ_ABT_ERR, and it completes */
    smmu_sync_msi(&s, 0xf000000000ULL, 5);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR) ^ smmu_readl(&s, SMMU_GERRORN),
                    ==, SMMU_GERROR_MSI_CMDQ);
    ats_stop(&s.t);
}

/* Without IDR0.MSI the MSI fields are reserved */
static void test_msi_off(void)
{
    ATSSMMU s;
    uint64_t word;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    word = ats_ram(&s.t, 0x200000);
    qtest_writeq(s.t.qts, word, PATTERN);
    smmu_sync_msi(&s, word, 1);
    smmu_go(&s);
    assert_done(&s);
    g_assert_cmphex(qtest_readq(s.t.qts, word), ==, PATTERN);
    smmu_writeq(&s, SMMU_GERROR_IRQ_CFG0, word);
    smmu_writel(&s, SMMU_GERROR_IRQ_CFG1, 1);
    smmu_writeq(&s, SMMU_EVENTQ_IRQ_CFG0, word);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR_IRQ_CFG0), ==, 0);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR_IRQ_CFG1), ==, 0);
    g_assert_cmphex(smmu_readl(&s, SMMU_EVENTQ_IRQ_CFG0), ==, 0);
    ats_stop(&s.t);
}

/* 3.18: GERROR and event queue interrupts as MSIs */
static void test_msi_interrupts(void)
{
    ATSSMMU s;
    uint64_t word;

    smmu_start(&s, "-global arm-smmuv3.ats=on -global arm-smmuv3.msi=on", "");
    word = ats_ram(&s.t, 0x200000);
    qtest_writeq(s.t.qts, word, 0);
    smmu_writeq(&s, SMMU_GERROR_IRQ_CFG0, word);
    smmu_writel(&s, SMMU_GERROR_IRQ_CFG1, 0x11);
    smmu_writeq(&s, SMMU_EVENTQ_IRQ_CFG0, word + 4);
    smmu_writel(&s, SMMU_EVENTQ_IRQ_CFG1, 0x22);
    g_assert_cmphex(smmu_readl(&s, SMMU_EVENTQ_IRQ_CFG0), ==, word + 4);
    g_assert_cmphex(smmu_readl(&s, SMMU_EVENTQ_IRQ_CFG1), ==, 0x22);

    smmu_ste(&s, 1, true, SMMU_STE_S1, 0);
    smmu_cfgi(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);

    /* Neither before IRQ_CTRL says so */
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_REJECTED);
    assert_event(&s, SMMU_EVT_BAD_ATS_TREQ, 1, ATS_IOVA_OF(1));
    g_assert_cmphex(qtest_readq(s.t.qts, word), ==, 0);

    smmu_writel(&s, SMMU_IRQ_CTRL, SMMU_IRQ_CTRL_GERROR | SMMU_IRQ_CTRL_EVENTQ);
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_REJECTED);
    g_assert_cmphex(qtest_readq(s.t.qts, word), ==, 0x22ULL << 32);
    smmu_invalidate(&s, 1, 1);
    ats_step(&s.t, TIMEOUT - 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0);
    ats_step(&s.t, 1);
    assert_failed(&s, 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0x11);
    ats_stop(&s.t);
}

/* A reset of the machine forgets what was outstanding */
static void test_system_reset(void)
{
    ATSSMMU s;

    smmu_start(&s, "-global arm-smmuv3.ats=on", "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 50);
    smmu_invalidate(&s, 1, 1);
    qtest_system_reset(s.t.qts);
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_cmphex(smmu_readl(&s, SMMU_GERROR), ==, 0);
    g_assert_cmphex(smmu_readl(&s, SMMU_CMDQ_CONS), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 0);
    ats_stop(&s.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmuv3/off", test_off);
    qtest_add_func("/smmuv3/eats", test_eats);
    qtest_add_func("/smmuv3/atschk", test_atschk);
    qtest_add_func("/smmuv3/config", test_config);
    qtest_add_func("/smmuv3/translate", test_translate);
    qtest_add_func("/smmuv3/atc-inv", test_atc_inv);
    qtest_add_func("/smmuv3/timeout", test_timeout);
    qtest_add_func("/smmuv3/timeout-repeats", test_timeout_repeats);
    qtest_add_func("/smmuv3/timeout-undisturbed", test_timeout_undisturbed);
    qtest_add_data_func("/smmuv3/timeout-0", GUINT_TO_POINTER(0),
                        test_timeout_property);
    qtest_add_data_func("/smmuv3/timeout-1", GUINT_TO_POINTER(1),
                        test_timeout_property);
    qtest_add_data_func("/smmuv3/timeout-3000", GUINT_TO_POINTER(3000),
                        test_timeout_property);
    qtest_add_func("/smmuv3/answer-in-time", test_answer_in_time);
    qtest_add_func("/smmuv3/answer-late", test_answer_late);
    qtest_add_func("/smmuv3/answer-during-error", test_answer_during_error);
    qtest_add_func("/smmuv3/batch", test_batch);
    qtest_add_func("/smmuv3/two-syncs", test_two_syncs);
    qtest_add_func("/smmuv3/late-sync", test_late_sync);
    qtest_add_func("/smmuv3/cmdqen", test_cmdqen);
    qtest_add_func("/smmuv3/policy-in-flight", test_policy_in_flight);
    qtest_add_func("/smmuv3/drop-n", test_drop_n);
    qtest_add_func("/smmuv3/lie-and-ur", test_lie_and_ur);
    qtest_add_func("/smmuv3/policy-disabled", test_policy_disabled);
    qtest_add_func("/smmuv3/inv-fenced", test_inv_fenced);
    qtest_add_func("/smmuv3/absent", test_absent);
    qtest_add_func("/smmuv3/msi", test_msi);
    qtest_add_func("/smmuv3/msi-off", test_msi_off);
    qtest_add_func("/smmuv3/msi-interrupts", test_msi_interrupts);
    qtest_add_func("/smmuv3/system-reset", test_system_reset);
    return g_test_run();
}
