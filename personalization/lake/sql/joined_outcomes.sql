-- The outcomes of the joined decisions, in the order of those and in the order in which they happened.
SELECT
    f.decision_id, f.place, f.id, f.kind, f.occurred_at, f.received_at, f.product_id, f.quantity, f.session, f.trace_id,
    f.duration_s,
    j.joined_at
FROM fates AS f
JOIN joined AS j ON j.id = f.decision_id
WHERE f.fate = 'joined'
ORDER BY j.joined_at, f.decision_id, f.place
