-- One row a customer known before ${until}. Nothing placed or given at or after ${until} is read.
-- The average of ratios is rounded, so that it is the same in whatever order rows are added up.
WITH known AS (
    SELECT DISTINCT customer_id, order_id, product_id, category, quantity, paid_cents, full_cents, placed_at
    FROM order_lines
    WHERE placed_at < ${until}
),
seen AS (
    SELECT customer_id, MIN(placed_at) AS first_at, MAX(placed_at) AS last_at FROM known GROUP BY customer_id
),
fair AS (
    SELECT category, percentile_cont(0.5) WITHIN GROUP (ORDER BY full_cents / quantity) AS unit_cents
    FROM known WHERE quantity > 0 AND full_cents > 0 GROUP BY category
),
period AS (
    SELECT known.*, full_cents / NULLIF(quantity, 0) / NULLIF(fair.unit_cents, 0) AS price_level
    FROM known LEFT JOIN fair ON fair.category = known.category
    WHERE placed_at >= ${since}
),
orders AS (
    SELECT customer_id, order_id, MIN(placed_at) AS placed_at, CAST(SUM(quantity) AS BIGINT) AS units
    FROM period GROUP BY customer_id, order_id HAVING SUM(paid_cents) >= 0
),
ordering AS (
    SELECT
        customer_id,
        COUNT(*) AS frequency,
        COUNT(CASE WHEN placed_at >= ${until} - INTERVAL '90' DAY THEN 1 END) AS recent_orders,
        COUNT(DISTINCT EXTRACT(YEAR FROM placed_at) * 12 + EXTRACT(MONTH FROM placed_at)) AS active_months,
        AVG(units) AS basket_size
    FROM orders GROUP BY customer_id
),
spending AS (
    SELECT
        customer_id,
        SUM(paid_cents) / 100.0 AS monetary,
        ROUND(AVG(CASE WHEN full_cents > 0 AND paid_cents >= 0 THEN price_level END), 9) AS price_level,
        AVG(CASE WHEN paid_cents >= 0 THEN CASE WHEN paid_cents < full_cents THEN 1.0 ELSE 0.0 END END) AS coupon_use,
        SUM(CASE WHEN paid_cents > 0 THEN paid_cents END) AS spent
    FROM period GROUP BY customer_id
),
spread AS (
    SELECT period.customer_id${spread}
    FROM period JOIN spending ON spending.customer_id = period.customer_id
    WHERE paid_cents > 0 GROUP BY period.customer_id
),
seasonal AS (
    SELECT
        customer_id,
        CASE
            WHEN EXTRACT(MONTH FROM placed_at) IN (12, 1, 2) THEN 'WINTER'
            WHEN EXTRACT(MONTH FROM placed_at) IN (3, 4, 5) THEN 'SPRING'
            WHEN EXTRACT(MONTH FROM placed_at) IN (6, 7, 8) THEN 'SUMMER'
            ELSE 'AUTUMN'
        END AS season,
        COUNT(*) AS orders
    FROM orders GROUP BY 1, 2
),
favourite AS (
    SELECT customer_id, season FROM seasonal
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY orders DESC, season) = 1
),
team AS (
    SELECT sponsors.sponsor_id AS customer_id, COUNT(DISTINCT sponsors.customer_id) AS team_size
    FROM sponsors JOIN seen ON seen.customer_id = sponsors.customer_id GROUP BY sponsors.sponsor_id
),
line AS (
    SELECT customer_id, MAX(distance) AS sponsor_depth FROM sponsors GROUP BY customer_id
),
shown AS (
    SELECT subject AS customer_id${shown}
    FROM exposures WHERE exposed_at >= ${since} AND exposed_at < ${until} GROUP BY subject
)
SELECT
    seen.customer_id,
    EXTRACT(EPOCH FROM ${until} - seen.last_at) / 86400.0 AS recency,
    EXTRACT(EPOCH FROM ${until} - seen.first_at) / 86400.0 AS tenure,
    COALESCE(frequency, 0) AS frequency,
    COALESCE(recent_orders, 0) AS recent_orders,
    COALESCE(active_months, 0) AS active_months,
    COALESCE(monetary, 0.0) AS monetary,
    basket_size,
    price_level,
    coupon_use,
    favourite.season AS season,
    persona AS role,
    region,
    COALESCE(team_size, 0) AS team_size,
    COALESCE(sponsor_depth, 0) AS sponsor_depth${chosen}
FROM seen
LEFT JOIN ordering ON ordering.customer_id = seen.customer_id
LEFT JOIN spending ON spending.customer_id = seen.customer_id
LEFT JOIN spread ON spread.customer_id = seen.customer_id
LEFT JOIN favourite ON favourite.customer_id = seen.customer_id
LEFT JOIN customers ON customers.customer_id = seen.customer_id
LEFT JOIN team ON team.customer_id = seen.customer_id
LEFT JOIN line ON line.customer_id = seen.customer_id
LEFT JOIN shown ON shown.customer_id = seen.customer_id
ORDER BY seen.customer_id
