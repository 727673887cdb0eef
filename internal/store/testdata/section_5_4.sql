SELECT 
    DATE(created_at) as date,
    COUNT(*) as total_requests,
    SUM(CASE WHEN prefill_time_ms < 2000 THEN 1 ELSE 0 END) as sla_met_requests,
    SUM(n_tokens) as total_tokens,
    SUM(CASE WHEN prefill_time_ms < 2000 THEN n_tokens ELSE 0 END) as sla_met_tokens,
    AVG(tps) as avg_tps,
    (SUM(CASE WHEN prefill_time_ms < 2000 THEN n_tokens ELSE 0 END) * 1.0 / SUM(n_tokens) * 100) as sla_compliance_rate
FROM vllm_metrics
WHERE created_at >= datetime('now', '-7 days')
GROUP BY DATE(created_at)
ORDER BY date DESC;
