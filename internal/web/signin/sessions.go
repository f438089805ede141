package signin

import (
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
			delete(s.list, key)
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
		delete(s.list, oldest)
	}
	s.list[kept] = &session{role: role, began: now, used: now}
	return token
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.began) >= SessionTime || now.Sub(s.used) >= idleTime
}

// use returns the role of a session, which lasts longer for it.
func (s *sessions) use(token string, now time.Time) (Role, bool) {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.list[key]
	if !ok {
		return "", false
	}
	if one.over(now) {
		delete(s.list, key)
		return "", false
	}
	one.used = now
	return one.role, true
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, sha256.Sum256([]byte(token)))
}

func (s *sessions) endAll(role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.list {
		if one.role == role {
			delete(s.list, key)
		}
	}
}
