-- The slow outcome: which decisions of a commission period were followed by an order within it, for audit: did clicks
-- become volume. A purchase counts once, up to the closing, however late it was reported before that.
WITH bought AS (
    SELECT
        decision_id,
        COUNT(*) AS purchases,
        CAST(SUM(COALESCE(quantity, 1)) AS BIGINT) AS pieces,
        MIN(happened_at) AS first_ordered_at
    FROM fates
    WHERE kind = 'PURCHASED' AND fate <> 'duplicate' AND fate <> 'dangling' AND received_at < ${period_end}
    GROUP BY decision_id
)
SELECT
    j.id, j.decided_at, j.placement, j.persona, j.segment, j.category, j.region, j.season, j.action, j.probability,
    j.policy, j.mode, j.subject, j.reward, j.displayed,
    b.decision_id IS NOT NULL AS ordered,
    CAST(COALESCE(b.purchases, 0) AS BIGINT) AS purchases,
    COALESCE(b.pieces, 0) AS pieces,
    b.first_ordered_at
FROM joined AS j
LEFT JOIN bought AS b ON b.decision_id = j.id
WHERE j.decided_at >= ${period_start} AND j.decided_at < ${period_end}
ORDER BY j.decided_at, j.id
