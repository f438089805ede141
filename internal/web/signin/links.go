package signin

import (
	"crypto/sha256"
	"sync"
	"time"
)

// How long a link can be used, and how many there may be: one more ends the oldest.
const (
	linkTime = 5 * time.Minute
	maxLinks = 16
)

type link struct {
	role Role
	made time.Time
}

// links are those that can be used, by the SHA-256 of their secrets.
type links struct {
	mu   sync.Mutex
	list map[[sha256.Size]byte]link
}

func (l *links) add(role Role, now time.Time) (token string, expires time.Time) {
	token, kept := newSecret()
	l.mu.Lock()
	defer l.mu.Unlock()
	var oldest [sha256.Size]byte
	for key, one := range l.list {
		if now.Sub(one.made) >= linkTime {
			delete(l.list, key)
		} else if first, ok := l.list[oldest]; !ok || one.made.Before(first.made) {
			oldest = key
		}
	}
	if len(l.list) >= maxLinks {
		delete(l.list, oldest)
	}
	l.list[kept] = link{role, now}
	return token, now.Add(linkTime)
}

// use takes a link away, and returns its role if it was in time.
func (l *links) use(token string, now time.Time) (Role, bool) {
	key := sha256.Sum256([]byte(token))
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.list[key]
	delete(l.list, key)
	return one.role, ok && now.Sub(one.made) < linkTime
}
