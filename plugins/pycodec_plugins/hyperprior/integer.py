FRACTION = 256
class IntegerSynthesis: pass
