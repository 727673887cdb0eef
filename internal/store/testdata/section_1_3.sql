    CREATE TABLE IF NOT EXISTS vllm_metrics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id TEXT,
        restaurant_id INTEGER,
        analysis_type TEXT,
        
        -- Prefill/Decode 분리 지표
        prefill_time_ms REAL,
        decode_time_ms REAL,
        total_time_ms REAL,
        
        -- 토큰 관련
        n_tokens INTEGER,
        tpot_ms REAL,  -- Time Per Output Token
        
        -- 처리량
        tps REAL,  -- Tokens Per Second
        
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )
