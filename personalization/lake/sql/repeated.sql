-- Events that are in the raw zone more than once, by id.
SELECT id, COUNT(*) AS copies, MIN(hub_offset) AS first_offset, MAX(hub_offset) AS last_offset
FROM events
GROUP BY id
HAVING COUNT(*) > 1
ORDER BY id
