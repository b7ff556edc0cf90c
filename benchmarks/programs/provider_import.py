"""What importing modules costs in CPU, in their order. Arguments: the modules. Nothing but `sys` and `time` is loaded before."""

import sys
import time

if __name__ == "__main__":
    began = time.process_time()
    for name in sys.argv[1:]:
        if name not in sys.modules:
            __import__(name)
    print('{"cpu_ms": %.3f}' % (1000 * (time.process_time() - began)))
