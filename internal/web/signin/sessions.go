package signin

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// How long a session lasts, at most and without a request, and how many there may be of a role: one more ends the one that was not used
// for the longest time.
const (
	SessionTime = 12 * time.Hour
	idleTime    = 2 * time.Hour
	maxSessions = 32
)

type session struct {
	role        Role
	began, used time.Time
	ended       context.Context // what runs for it ends with it
	end         context.CancelFunc
}

// sessions are those that have not ended, by the SHA-256 of their tokens.
type sessions struct {
	mu   sync.Mutex
	list map[[sha256.Size]byte]*session
}

func (s *sessions) add(role Role, now time.Time) string {
	token, kept := newSecret()
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	var oldest [sha256.Size]byte
	for key, one := range s.list {
		if one.over(now) {
			s.drop(key)
			continue
		}
		if one.role != role {
			continue
		}
		if count++; count == 1 || one.used.Before(s.list[oldest].used) {
			oldest = key
		}
	}
	if count >= maxSessions {
		s.drop(oldest)
	}
	one := &session{role: role, began: now, used: now}
	one.ended, one.end = context.WithTimeout(context.Background(), SessionTime)
	s.list[kept] = one
	return token
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.began) >= SessionTime || now.Sub(s.used) >= idleTime
}

// drop ends a session. mu is held.
func (s *sessions) drop(key [sha256.Size]byte) {
	if one := s.list[key]; one != nil {
		one.end()
		delete(s.list, key)
	}
}

// use returns the role of a session, which lasts longer for it, and a context that ends with it.
func (s *sessions) use(token string, now time.Time) (role Role, ended context.Context, ok bool) {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.list[key]
	if one == nil {
		return "", nil, false
	}
	if one.over(now) {
		s.drop(key)
		return "", nil, false
	}
	one.used = now
	return one.role, one.ended, true
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sha256.Sum256([]byte(token)))
}

func (s *sessions) endAll(role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.list {
		if one.role == role {
			s.drop(key)
		}
	}
}

// close ends all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.list {
		s.drop(key)
	}
}
