// Calls every method of the official SDK, and meets every class of its errors.
const assert = require('node:assert/strict')
const sdk = require('@agentsecretstore/sdk')

const baseUrl = process.env.ASS_API_URL
const vault = new sdk.AgentVault({ agentKey: process.env.ASS_AGENT_KEY, baseUrl })
const values = JSON.parse(process.env.VALUES)

const calls = {
  async setSecret() {
    for (const [path, value] of Object.entries(values)) {
      const row = await vault.setSecret(path, value, { secretType: 'api_key', metadata: { by: 'sdk' } })
      assert.equal(row.version, 1)
      assert.equal(row.secret_type, 'api_key')
    }
  },
  async getSecret() {
    for (const [path, value] of Object.entries(values)) assert.equal(await vault.getSecret(path), value)
  },
  async getSecretWithMetadata() {
    const row = await vault.getSecretWithMetadata(Object.keys(values)[0])
    assert.deepEqual([row.version, row.access_tier, row.metadata], [1, 'standard', { by: 'sdk' }])
  },
  async listSecrets() {
    const list = await vault.listSecrets('sdk')
    assert.equal(list.items.length, Object.keys(values).length)
  },
  async importEnv() {
    const done = await vault.importEnv('A=1\nB="two"\n', 'sdk-import')
    assert.deepEqual([done.imported, done.imported_count], [['A', 'B'], 2])
    assert.equal(await vault.getSecret('sdk-import/B'), 'two')
  },
  async deleteSecret() {
    await vault.deleteSecret('sdk-import/A')
    await assert.rejects(vault.getSecret('sdk-import/A'), sdk.SecretNotFoundError)
  },
  async requestToken() {
    const token = await vault.requestToken({ scopes: ['secrets:read:sdk/*'], ttl: '15m', maxUses: 10, ipAllowlist: ['127.0.0.1'] })
    assert.match(token.token, /^eyJ/)
    assert.ok(Date.parse(token.expires_at) > Date.now())
    assert.equal(token.requires_approval, false)
  },
  async SecretNotFoundError() {
    await assert.rejects(vault.getSecret('sdk/none'), sdk.SecretNotFoundError)
  },
  async AuthError() {
    const stranger = new sdk.AgentVault({ agentKey: 'ass_wrong_key_000000000000000', baseUrl })
    await assert.rejects(stranger.getSecret('sdk/none'), sdk.AuthError)
  },
  async ScopeError() {
    const confined = new sdk.AgentVault({ agentKey: process.env.CONFINED_KEY, baseUrl })
    await assert.rejects(confined.getSecret('elsewhere/K'), sdk.ScopeError)
  },
  async ApprovalRequiredError() {
    await vault.setSecret('guarded/K', 'v', { accessTier: 'critical' })
    const fresh = new sdk.AgentVault({ agentKey: process.env.ASS_AGENT_KEY, baseUrl })
    await assert.rejects(fresh.getSecret('guarded/K'), (e) => e instanceof sdk.ApprovalRequiredError && /^apr_/.test(e.approvalId))
  },
  async ValidationError() {
    await assert.rejects(vault.getSecret('flat'), sdk.ValidationError)
  },
  async RateLimitError() {
    const limited = new sdk.AgentVault({ agentKey: process.env.ASS_AGENT_KEY, baseUrl: process.env.LIMITED_URL })
    await assert.rejects(limited.getSecret('sdk/none'), (e) => e instanceof sdk.RateLimitError && e.retryAfter === 2)
  },
  async NetworkError() {
    const nowhere = new sdk.AgentVault({ agentKey: process.env.ASS_AGENT_KEY, baseUrl: 'http://127.0.0.1:1', retries: 0 })
    await assert.rejects(nowhere.getSecret('sdk/none'), sdk.NetworkError)
  }
}

;(async () => {
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call()
    } catch (e) {
      console.error(`sdk ${name}: ${e.stack}`)
      process.exit(1)
    }
    console.log(`sdk ${name}`)
  }
})()
