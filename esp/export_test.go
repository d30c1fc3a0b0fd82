package esp

// Len returns the number of SPIs.
func (t *SPITable[T]) Len() int { return t.x.live }
