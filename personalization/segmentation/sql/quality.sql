-- One row a month that has order lines: how many there are, and how many of them are odd. months count from year 0.
WITH lines AS (
    SELECT customer_id, order_id, product_id, category, quantity, paid_cents, full_cents, placed_at, COUNT(*) AS times
    FROM order_lines
    GROUP BY customer_id, order_id, product_id, category, quantity, paid_cents, full_cents, placed_at
),
shared AS (
    SELECT order_id FROM order_lines GROUP BY order_id HAVING COUNT(DISTINCT customer_id) > 1
)
SELECT
    CAST(EXTRACT(YEAR FROM placed_at) * 12 + EXTRACT(MONTH FROM placed_at) - 1 AS BIGINT) AS month,
    COUNT(*) AS lines,
    CAST(SUM(times - 1) AS BIGINT) AS repeated,
    COUNT(CASE WHEN paid_cents < 0 THEN 1 END) AS refunds,
    COUNT(CASE WHEN quantity <= 0 AND paid_cents >= 0 THEN 1 END) AS without_units,
    COUNT(shared.order_id) AS of_shared_orders,
    COUNT(CASE WHEN placed_at >= ${now} THEN 1 END) AS ahead
FROM lines LEFT JOIN shared ON shared.order_id = lines.order_id
GROUP BY 1 ORDER BY 1
