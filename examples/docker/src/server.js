'use strict';

const { serveHealth } = require('./health');

serveHealth(['GEMINI_API_KEY', 'DATABASE_URL', 'STRIPE_SECRET_KEY']);
