// Package ttlmap stands in for a module that the Go proxy doesn't serve. Only
// Plakar's web interface uses it, which the tests don't start.
package ttlmap

import (
	"sync"
	"time"
)

// Map forgets what was added longer than its time to live ago.
type Map[K comparable, V any] struct {
	mu      sync.Mutex
	ttl     time.Duration
	entries map[K]entry[V]
}

type entry[V any] struct {
	value V
	added time.Time
}

// New makes an empty map.
func New[K comparable, V any](ttl time.Duration) *Map[K, V] {
	return &Map[K, V]{ttl: ttl, entries: map[K]entry[V]{}}
}

// AutoExpire removes what has expired now and then.
func (m *Map[K, V]) AutoExpire() {
	go func() {
		for range time.Tick(m.ttl) {
			m.mu.Lock()
			for key, entry := range m.entries {
				if time.Since(entry.added) > m.ttl {
					delete(m.entries, key)
				}
			}
			m.mu.Unlock()
		}
	}()
}

// Add puts or replaces a value.
func (m *Map[K, V]) Add(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[key] = entry[V]{value, time.Now()}
}

// Get gives a value that hasn't expired.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.entries[key]
	return found.value, ok && time.Since(found.added) <= m.ttl
}
