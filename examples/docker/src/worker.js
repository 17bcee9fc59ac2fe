'use strict';

const { serveHealth } = require('./health');

serveHealth(['DATABASE_URL', 'SLACK_BOT_TOKEN']);
setInterval(() => { /* take a job from the queue */ }, 1000);
