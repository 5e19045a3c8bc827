-- Every decision that is closed, beside what it was worth. Only what was displayed is an example to learn from.
WITH worth AS (
    SELECT
        f.decision_id,
        COUNT(*) AS outcomes,
        GREATEST(
            COALESCE(MAX(v.value), 0.0),
            COALESCE(MAX(CASE WHEN f.duration_s >= r.display_s THEN r.display_value END), 0.0)
        ) AS reward
    FROM fates AS f
    JOIN rules AS r ON r.placement = f.rule
    LEFT JOIN rule_values AS v ON v.placement = f.rule AND v.kind = f.kind
    WHERE f.fate = 'joined'
    GROUP BY f.decision_id
)
SELECT
    d.id, d.decided_at, d.placement, d.persona, d.segment, d.category, d.region, d.season, d.device,
    d.actions, d.distribution, d.action, d.probability, d.policy, d.mode, d.reason, d.subject, d.session, d.trace_id,
    COALESCE(w.reward, 0.0) AS reward,
    d.assume_displayed OR w.outcomes IS NOT NULL AS displayed,
    d.closes_at AS joined_at
FROM decided AS d
LEFT JOIN worth AS w ON w.decision_id = d.id
WHERE d.closes_at <= ${until} AND d.decided_at >= ${since}
ORDER BY d.closes_at, d.id
