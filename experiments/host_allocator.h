// SPDX-License-Identifier: Apache-2.0
//
// The memory of tensors on the host, over steps whose tensors have other sizes each time.
#pragma once

namespace trimtab {

// From here on blocks of tensors are used again once they are freed, and large ones are kept: giving them
// back and faulting them in again costs more than the arithmetic. Any thread may call it, again as well.
void use_host_allocator();

// What is free now goes back to the system. Between parts of a run whose tensors have other sizes, such as
// training and scoring, since the holes that one leaves do not fit the other: the process would take the sum.
void give_back_freed();

}  // namespace trimtab
