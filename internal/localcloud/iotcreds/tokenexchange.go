package iotcreds

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// TokenExchangePath is where the token exchange service answers.
const TokenExchangePath = "/2016-11-01/credentialprovider/"

// repeatUntil is how long before their end the token exchange service stops to repeat credentials.
const repeatUntil = 5 * time.Minute

// TokenExchange is the component aws.greengrass.TokenExchangeService of a core: it returns the
// credentials of its role alias over plain HTTP to clients with the token, and repeats them until
// shortly before their end.
// Source: aws-greengrass-nucleus, CredentialRequestHandler.
type TokenExchange struct {
	endpoint *Endpoint
	thing    string

	mu    sync.Mutex
	token string          // guarded by mu, as below
	key   sigv4.AccessKey // issued last
}

// NewTokenExchange returns the service on the core of that thing. It is an http.Handler, to be served
// on loopback.
func (c *Endpoint) NewTokenExchange(thing, token string) *TokenExchange {
	return &TokenExchange{endpoint: c, thing: thing, token: token}
}

// SetToken takes another token from now on, as after a restart of Greengrass.
func (t *TokenExchange) SetToken(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token = token
}

// ServeHTTP implements http.Handler.
func (t *TokenExchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.URL.Path != TokenExchangePath:
		w.WriteHeader(http.StatusBadRequest)
	case r.Header.Get("Authorization") != t.token:
		w.WriteHeader(http.StatusForbidden)
	case t.endpoint.o.Revoked(t.thing):
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "TES responded with status code: %d. Caching response. ", http.StatusForbidden)
	default:
		now := time.Now()
		if now.After(t.key.Expires.Add(-repeatUntil)) {
			t.key = t.endpoint.issue(t.thing, now)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{ // the client may be gone
			"AccessKeyId": t.key.ID, "SecretAccessKey": t.key.Secret, "Token": t.key.Token, "Expiration": t.key.Expires.Format(time.RFC3339),
		})
	}
}
