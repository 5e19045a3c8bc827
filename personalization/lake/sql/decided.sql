-- Every decision once, with the rule of its placement and when its window ends and closes.
SELECT
    d.id, d.decided_at, d.placement, d.persona, d.segment, d.category, d.region, d.season, d.device,
    d.actions, d.distribution, d.action, d.probability, d.policy, d.mode, d.reason, d.subject, d.session, d.trace_id,
    COALESCE(own.placement, usual.placement) AS rule,
    COALESCE(own.assume_displayed, usual.assume_displayed) AS assume_displayed,
    d.decided_at + COALESCE(own.window_us, usual.window_us) * INTERVAL '0.000001' SECOND AS window_ends,
    d.decided_at + COALESCE(own.hold_us, usual.hold_us) * INTERVAL '0.000001' SECOND AS closes_at
FROM decisions AS d
LEFT JOIN rules AS own ON own.placement = d.placement AND own.placement <> ''
CROSS JOIN (SELECT * FROM rules WHERE placement = '') AS usual
WHERE d.unreadable IS NULL AND d.decided_at <= d.appended_at + INTERVAL '86400' SECOND
QUALIFY ROW_NUMBER() OVER (PARTITION BY d.id ORDER BY d.appended_at, d.hub_partition, d.hub_offset) = 1
