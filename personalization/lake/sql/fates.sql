-- What became of every outcome: joined, duplicate, dangling, after_window, late, open, or evicted.
-- An outcome happened at the page's time where that lies between the decision and the arrival, else at the gateway's.
WITH copies AS (
    SELECT
        o.*,
        ROW_NUMBER() OVER (PARTITION BY o.id ORDER BY o.appended_at, o.hub_partition, o.hub_offset) AS copy
    FROM outcomes AS o
    WHERE o.unreadable IS NULL AND o.received_at <= o.appended_at + INTERVAL '86400' SECOND
),
dated AS (
    SELECT
        c.*,
        d.decided_at, d.window_ends, d.closes_at, d.rule,
        CASE
            WHEN c.occurred_at >= d.decided_at AND c.occurred_at <= c.received_at THEN c.occurred_at
            ELSE GREATEST(c.received_at, d.decided_at)
        END AS happened_at
    FROM copies AS c
    LEFT JOIN decided AS d ON d.id = c.decision_id
),
judged AS (
    SELECT
        dated.*,
        CASE
            WHEN copy > 1 THEN 'duplicate'
            WHEN decided_at IS NULL THEN 'dangling'
            WHEN happened_at > window_ends THEN 'after_window'
            WHEN received_at > closes_at THEN 'late'
            WHEN closes_at > ${until} THEN 'open'
            ELSE 'joined'
        END AS judgement
    FROM dated
),
placed AS (
    SELECT
        judged.*,
        ROW_NUMBER() OVER (PARTITION BY decision_id, judgement ORDER BY happened_at, received_at, id) AS place
    FROM judged
)
SELECT
    id, hub_partition, hub_offset, decision_id, kind, occurred_at, received_at, product_id, quantity, session, trace_id,
    duration_s,
    happened_at, closes_at, rule, place,
    CASE WHEN judgement = 'joined' AND place > ${most_outcomes} THEN 'evicted' ELSE judgement END AS fate
FROM placed
WHERE received_at >= ${since}
ORDER BY received_at, id, hub_partition, hub_offset
